"""After each fault everything is taken again within seconds: events, commands, and the log itself."""

import math
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from shared.contracts.topics import ACTIVITY
from tests.faults.brokers import ALL, LINE
from tests.faults.clients import PATIENCE_SECONDS
from tests.faults.controller import KILLS, Disturbance
from tests.faults.evidence import Evidence
from tests.faults.schedule import EVERYTHING

SITES = ("event", "form")
COMMANDS = ("feedback", "act", "pause", "resume", "merge", "unmerge")
# From when nothing is held down any more, in seconds.
AGAIN_SECONDS = 5.0
BROKER_SECONDS = 15.0
ALL_BROKERS_SECONDS = 30.0
# Somebody posts at least as often.
BETWEEN_SECONDS = 2.0
# Struck, these keep everything out of the log, whoever else is well.
ON_THE_WAY = ("postgres", "broker", "line-to-", "disk-database", EVERYTHING)
# Towards the end nobody posts any more; that all is answered at last is another check's.
NEVER = math.inf


def healings(evidence: Evidence) -> Iterator[tuple[datetime, float, str]]:
    """Return of each group of blows when it was over, within how many seconds all goes on, and its names.

    What was ended is back once it runs and answers; what was frozen or spoilt, once it is let go. The time
    that an earlier group still has is had by those that come in it.
    """
    groups: defaultdict[datetime, list[Disturbance]] = defaultdict(list)
    for one in evidence.disturbances:
        groups[one.end].append(one)
    until = datetime.min.replace(tzinfo=UTC)
    for end, blows in sorted(groups.items()):
        started_again = any(one.how in (*KILLS, "upgrade") for one in blows)
        since = end if started_again else max(one.since for one in blows)
        names = " and ".join(f"{one.how} of {one.victim}" for one in blows)
        until = max(until, since + timedelta(seconds=max(_seconds(one.victim) for one in blows)))
        yield since, (until - since).total_seconds(), names


def _seconds(victim: str) -> float:
    if victim in (ALL, EVERYTHING):
        return ALL_BROKERS_SECONDS
    return BROKER_SECONDS if victim.startswith("broker-") or victim == LINE else AGAIN_SECONDS


def sites_are_heard_again(evidence: Evidence) -> Iterator[str]:
    """Somebody's event or form is acknowledged."""
    yield from _late(evidence, SITES, "no event was acknowledged")


def commands_are_taken_again(evidence: Evidence) -> Iterator[str]:
    """A command of a rep, the CRM or the steward is acknowledged."""
    yield from _late(evidence, COMMANDS, "no command was taken")


def _late(evidence: Evidence, ops: Sequence[str], what: str) -> Iterator[str]:
    """Say after which healings one who has tried in vain, or tries since, has to wait."""
    tried, taken = (_instants(evidence, ops, outcome) for outcome in ("invoke", "ok"))
    for since, _, names in healings(evidence):
        healed = since.timestamp()
        begin = max(healed, _first(tried, healed - PATIENCE_SECONDS))
        due = begin + AGAIN_SECONDS + BETWEEN_SECONDS
        if due < (at := _first(taken, healed)) != NEVER and not _struck(evidence, (EVERYTHING,), healed, due):
            yield f"{what} for {at - begin:.1f} s since {since.isoformat()}: {names}"


def the_log_goes_on(evidence: Evidence) -> Iterator[str]:
    """Activity is appended to the log: it is not only spooled."""
    appended = sorted(message.at.timestamp() for message in evidence.log if message.topic == ACTIVITY.name)
    for since, seconds, names in healings(evidence):
        healed = since.timestamp()
        due = healed + seconds + BETWEEN_SECONDS
        if due < (at := _first(appended, healed)) != NEVER and not _struck(evidence, ON_THE_WAY, healed, due):
            yield f"nothing was appended after {names} for {at - healed:.1f} s since {since.isoformat()}"


def _struck(evidence: Evidence, names: Sequence[str], since: float, until: float) -> bool:
    """Return whether one whose name begins like that is struck meanwhile: then its own healing counts."""
    return any(
        since <= one.begin.timestamp() <= until and one.victim.startswith(tuple(names))
        for one in evidence.disturbances
    )


def _instants(evidence: Evidence, ops: Sequence[str], outcome: str) -> list[float]:
    """Return when operations had an outcome, sorted."""
    return sorted({entry.at for entry in evidence.journal if entry.op in ops and entry.outcome == outcome})


def _first(instants: Sequence[float], since: float) -> float:
    number = bisect_left(instants, since)
    return instants[number] if number < len(instants) else NEVER


CHECKS = (sites_are_heard_again, commands_are_taken_again, the_log_goes_on)
