"""Our outage is told once, marks what fell due in it, and is not the rep's fault; nothing shorter is one."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from shared.contracts import handoffs as told
from tests.faults.checks.clocks import steps
from tests.faults.checks.deadlines import BEAT_SECONDS, Span
from tests.faults.controller import Disturbance
from tests.faults.evidence import Evidence
from tests.faults.schedule import EVERYTHING

# A heartbeat may be written while the signals are sent.
SIGNAL_SECONDS = 1.0


def planned(evidence: Evidence) -> list[Disturbance]:
    """Return the faults that stopped everything."""
    return [one for one in evidence.disturbances if one.victim == EVERYTHING]


def outages_are_recorded_once(evidence: Evidence) -> Iterator[str]:
    """One row for each, from the last heartbeat before it to the first one after."""
    left = [(row["began_at"], row["ended_at"]) for row in evidence.tables["outages"]]
    for one in planned(evidence):
        mine = [span for span in left if _covers(span, one)]
        left = [span for span in left if span not in mine]
        if len(mine) != 1:
            yield f"the outage from {one.begin.isoformat()} to {one.since.isoformat()}: {len(mine)} rows"
    for began, ended in left:
        yield f"an outage that nobody caused, from {began.isoformat()} to {ended.isoformat()}"


def _covers(span: Span, one: Disturbance) -> bool:
    began, ended = span
    earliest = one.begin - timedelta(seconds=BEAT_SECONDS)
    return (
        earliest <= began <= one.begin + timedelta(seconds=SIGNAL_SECONDS) and one.since <= ended <= one.end
    )


def breaches_know_their_outage(evidence: Evidence) -> Iterator[str]:
    """What fell due in an outage and was recorded after it is marked, whoever records it; nothing else is."""
    due = {step.clock_id: step.due_at for step in steps(evidence) if step.kind == "breach"}
    spans = [(row["began_at"], row["ended_at"]) for row in evidence.tables["outages"]]
    back = [one.since for one in planned(evidence)]
    for event in evidence.feed:
        if event["type"] != told.SLA_BREACHED:
            continue
        data = event["data"]
        at, due_at = datetime.fromisoformat(data["at"]), due[data["clock_id"]]
        inside = any(began <= due_at < ended for began, ended in spans) and any(since <= at for since in back)
        if data.get("during_outage", False) != inside:
            yield (
                f"clock {data['clock_id']}: due {due_at.isoformat()}, breached {at.isoformat()}:"
                f" {'not ' if inside else ''}marked as ours"
            )


CHECKS = (outages_are_recorded_once, breaches_know_their_outage)
