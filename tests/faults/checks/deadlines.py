"""When a clock's steps are due, by plain addition: the suite's calendars are always open."""

import math
from collections.abc import Sequence
from datetime import datetime, timedelta

from tests.faults.evidence import Row

ACTING = ("reassign", "out_of_rotation")
# The heartbeat before a blow is at most this old: it comes every 5 s, a busy machine may be late.
BEAT_SECONDS = 10.0

Span = tuple[datetime, datetime]


def pauses_of(clock: Row) -> list[Span]:
    """Return the pauses of a clock, each ended by hand or by its limit, the earliest first."""
    spans = []
    for pause in clock["body"]["pauses"]:
        began, limit = (datetime.fromisoformat(pause[name]) for name in ("started_at", "limit_at"))
        ended = pause["ended_at"]
        spans.append((began, min(datetime.fromisoformat(ended), limit) if ended else limit))
    return sorted(spans)


def after(start: datetime, seconds: float, pauses: Sequence[Span]) -> datetime:
    """Return when `seconds` have passed since `start` outside the pauses."""
    left = timedelta(seconds=seconds)
    for began, ended in pauses:
        if ended <= start:
            continue
        before = max(began - start, timedelta())
        if before >= left:
            break
        left -= before
        start = ended
    return start + left


def seconds_between(first: datetime, last: datetime, pauses: Sequence[Span]) -> float:
    """Return the seconds of [first, last) outside the pauses."""
    paused = sum(
        (max(min(ended, last) - max(began, first), timedelta()) for began, ended in pauses), timedelta()
    )
    return (last - first - paused).total_seconds()


def put_off(clock: Row, seconds: int, outages: Sequence[Span]) -> datetime:
    """Return when a rung that acts may fire: once the time that an outage took has passed again after it.

    That is at most one target, in whole seconds. Right for one outage, which is what a run has.
    """
    pauses, started = pauses_of(clock), clock["started_at"]
    due = after(started, seconds, pauses)
    for began, ended in outages:
        if began < due and ended > started:
            lost = seconds_between(max(began, started), ended, pauses)
            again = math.ceil(min(lost, clock["body"]["terms"]["target_seconds"]))
            if again:
                due = max(after(started, seconds + again, pauses), after(ended, again, pauses))
    return due
