"""After each fault everything is taken again within seconds: events, commands, and the log itself."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from shared.contracts.topics import ACTIVITY
from tests.faults.brokers import ALL, LINE
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


def healings(evidence: Evidence) -> Iterator[tuple[datetime, float, str]]:
    """Return of each group of blows when it was over, within how many seconds all goes on, and its names.

    What was killed is back once it runs and answers; what was frozen or spoilt, once it is let go.
    """
    groups: defaultdict[datetime, list[Disturbance]] = defaultdict(list)
    for one in evidence.disturbances:
        groups[one.end].append(one)
    for end, blows in groups.items():
        killed = any(one.how in KILLS for one in blows)
        since = end if killed else max(one.since for one in blows)
        names = " and ".join(f"{one.how} of {one.victim}" for one in blows)
        yield since, max(_seconds(one.victim) for one in blows), names


def _seconds(victim: str) -> float:
    if victim in (ALL, EVERYTHING):
        return ALL_BROKERS_SECONDS
    return BROKER_SECONDS if victim.startswith("broker-") or victim == LINE else AGAIN_SECONDS


def sites_are_heard_again(evidence: Evidence) -> Iterator[str]:
    """Somebody's event or form is acknowledged."""
    yield from _late(evidence, _acknowledged(evidence, SITES), AGAIN_SECONDS, "no event was acknowledged")


def commands_are_taken_again(evidence: Evidence) -> Iterator[str]:
    """A command of a rep, the CRM or the steward is acknowledged."""
    yield from _late(evidence, _acknowledged(evidence, COMMANDS), AGAIN_SECONDS, "no command was taken")


def the_log_goes_on(evidence: Evidence) -> Iterator[str]:
    """Activity is appended to the log: it is not only spooled."""
    appended = sorted(message.at.timestamp() for message in evidence.log if message.topic == ACTIVITY.name)
    yield from _late(evidence, appended, None, "nothing was appended to the log")


def _acknowledged(evidence: Evidence, ops: Sequence[str]) -> list[float]:
    """Return when operations were acknowledged, sorted."""
    return sorted({entry.at for entry in evidence.journal if entry.op in ops and entry.outcome == "ok"})


def _late(evidence: Evidence, instants: list[float], seconds: float | None, what: str) -> Iterator[str]:
    """Say after which healings an instant is missing; `seconds` None: as many as the victim has."""
    for since, allowed, names in healings(evidence):
        limit = since + timedelta(seconds=(seconds or allowed) + BETWEEN_SECONDS)
        number = bisect_left(instants, since.timestamp())
        # Towards the end nobody posts any more.
        if number == len(instants):
            continue
        if instants[number] > limit.timestamp():
            late = instants[number] - since.timestamp()
            yield f"{what} for {late:.1f} s after {since.isoformat()}: {names}"


CHECKS = (sites_are_heard_again, commands_are_taken_again, the_log_goes_on)
