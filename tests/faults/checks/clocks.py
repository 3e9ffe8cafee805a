"""Every warning and breach of every clock was recorded exactly once, never early, and in time.

Recomputed from each clock's frozen terms, its pauses and the outages by plain addition.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from shared.contracts import handoffs as told
from tests.faults.checks.deadlines import ACTING, BEAT_SECONDS, Span, after, pauses_of, put_off
from tests.faults.controller import Disturbance
from tests.faults.evidence import Evidence, Row

RECOVERED_SECONDS = 5.0
UNDISTURBED_P99_SECONDS = 0.5
LATEST = 4  # named where too many are late
KINDS = {told.SLA_WARNED: "warned", told.SLA_BREACHED: "breached", told.SLA_ESCALATED: "escalated"}


@dataclass(frozen=True, slots=True)
class Step:
    """One thing a clock had to do, and the instants at which the feed says that it did."""

    clock_id: str
    kind: str
    due_at: datetime
    fired: tuple[datetime, ...]
    stopped_at: datetime | None


def steps(evidence: Evidence) -> Iterator[Step]:
    """Return every warning, breach and rung of every clock, whether or not it came to that."""
    fired: defaultdict[tuple[str, str, int], list[datetime]] = defaultdict(list)
    for event in evidence.feed:
        if event["type"] in KINDS:
            data = event["data"]
            key = (data["clock_id"], KINDS[event["type"]], data.get("rung", 0))
            fired[key].append(datetime.fromisoformat(data["at"]))
    outages = [(row["began_at"], row["ended_at"]) for row in evidence.tables["outages"]]
    for clock in evidence.tables["clocks"]:
        if clock["kind"] != "cool_down":
            yield from _steps_of(clock, fired, outages)


def _steps_of(
    clock: Row, fired: dict[tuple[str, str, int], list[datetime]], outages: Sequence[Span]
) -> Iterator[Step]:
    clock_id, terms, stopped = clock["clock_id"], clock["body"]["terms"], clock["stopped_at"]

    def due(seconds: int) -> datetime:
        return after(clock["started_at"], seconds, pauses_of(clock))

    warned = sorted(fired.get((clock_id, "warned", 0), []))
    warnings: list[Any] = terms["warnings"]
    for number, seconds in enumerate(warnings):
        # The feed does not say which warning: in order of time they are one after the other.
        last = number == len(warnings) - 1
        own = warned[number:] if last else warned[number : number + 1]
        yield Step(clock_id, f"warning {number + 1}", due(seconds), tuple(own), stopped)
    target = terms["target_seconds"]
    yield Step(clock_id, "breach", due(target), tuple(fired.get((clock_id, "breached", 0), [])), stopped)
    for number, rung in enumerate(terms["ladder"], start=1):
        seconds = target + rung["after_seconds"]
        escalated = tuple(fired.get((clock_id, "escalated", number), []))
        at = due(seconds)
        if rung.get("action") in ACTING and not _before(escalated, outages):
            at = put_off(clock, seconds, outages)
        yield Step(clock_id, f"rung {number}", at, escalated, stopped)


def _before(fired: Sequence[datetime], outages: Sequence[Span]) -> bool:
    """Return whether something fired before an outage had begun: that cannot have been put off by it."""
    beat = timedelta(seconds=BEAT_SECONDS)
    return any(at < began + beat for at in fired for began, _ in outages)


def pauses_keep_their_limit(evidence: Evidence) -> Iterator[str]:
    """All pauses of a clock for one reason together last no longer than the reason's limit; none overlap."""
    for clock in evidence.tables["clocks"]:
        spans = pauses_of(clock)
        limits = {rule["reason"]: rule["limit_seconds"] for rule in clock["body"]["terms"]["pauses"]}
        used: defaultdict[str, timedelta] = defaultdict(timedelta)
        for pause, (began, ended) in zip(clock["body"]["pauses"], spans, strict=True):
            used[pause["reason"]] += ended - began
        for reason, spent in used.items():
            if spent > timedelta(seconds=limits.get(reason, 0)):
                yield f"clock {clock['clock_id']} was paused {spent} for {reason}"
        if any(one[1] > other[0] for one, other in pairwise(spans)):
            yield f"clock {clock['clock_id']} was paused twice at once"


def each_fires_once(evidence: Evidence) -> Iterator[str]:
    """A warning or breach due before its clock stopped is recorded once, else not at all; a rung at most."""
    for step in steps(evidence):
        came_due = step.stopped_at is None or step.due_at < step.stopped_at
        count = len(step.fired)
        missing = came_due and not count and not step.kind.startswith("rung")
        if count > 1 or missing or (count and not came_due):
            yield (
                f"clock {step.clock_id}: {step.kind} fired {count} times, due {step.due_at.isoformat()},"
                f" stopped {step.stopped_at.isoformat() if step.stopped_at else None}"
            )


def none_is_early(evidence: Evidence) -> Iterator[str]:
    """Nothing is recorded before it is due."""
    for step in steps(evidence):
        if any(at < step.due_at for at in step.fired):
            yield f"clock {step.clock_id}: {step.kind} was early"


def lateness(evidence: Evidence) -> tuple[list[tuple[float, Step]], list[tuple[float, Step]]]:
    """Return the delay in seconds of each undisturbed step, sorted; of the others, since the recovery."""
    calm: list[tuple[float, Step]] = []
    disturbed: list[tuple[float, Step]] = []
    for step in steps(evidence):
        for at in step.fired:
            recovered = _recovered(evidence.disturbances, step.due_at, at)
            if recovered is None:
                calm.append(((at - step.due_at).total_seconds(), step))
            else:
                disturbed.append(((at - recovered).total_seconds(), step))
    return sorted(calm, key=_seconds), disturbed


def _seconds(late: tuple[float, Step]) -> float:
    return late[0]


def _recovered(found: Sequence[Disturbance], due: datetime, at: datetime) -> datetime | None:
    """Return from when on a step could fire; None where no fault or recovery lies between due and fired."""
    grace = timedelta(seconds=RECOVERED_SECONDS)
    touching = [one for one in found if one.begin <= at and one.end + grace >= due]
    return max([due, *(one.end for one in touching)]) if touching else None


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value under which `share` of the sorted values lie; 0 of none."""
    return values[min(len(values) - 1, int(len(values) * share))] if values else 0.0


def none_is_late(evidence: Evidence) -> Iterator[str]:
    """Within 0.5 s (p99) while undisturbed, within 5 s of recovery after a fault."""
    calm, disturbed = lateness(evidence)
    p99 = quantile(list(map(_seconds, calm)), 0.99)
    if p99 > UNDISTURBED_P99_SECONDS:
        yield f"undisturbed lateness: p99 {p99:.3f} s of {len(calm)}"
        for seconds, step in reversed(calm[-LATEST:]):
            yield f"clock {step.clock_id}: {step.kind} of {step.due_at.isoformat()}: {seconds:.3f} s late"
    for seconds, step in disturbed:
        if seconds > RECOVERED_SECONDS:
            yield f"clock {step.clock_id}: {step.kind} fired {seconds:.1f} s after recovery"


CHECKS = (each_fires_once, none_is_early, none_is_late, pauses_keep_their_limit)
