"""The size of the batches and how a failing one is taken apart: pure, the loop only obeys."""

import traceback
from collections.abc import Sequence
from dataclasses import dataclass, replace

from shared.bus.port import Fetched, Record

# A transaction that takes longer holds its locks too long for the request paths (DESIGN: 500 ms).
GOAL_SECONDS = 0.5
# What grows towards it: short enough of the goal that a busy moment seldom goes past that.
AIM_SECONDS = 0.8 * GOAL_SECONDS


@dataclass(frozen=True, slots=True)
class BatchSize:
    """How many records the next transaction takes: halved when one took too long, grown while quick.

    Grown to what takes the aim, but not to more than twice as many at once. A transaction's time counts as
    if all of it grew with the records; what does not (statements, another lane at work) is found by trying.
    """

    now: int
    limit: int

    def after(self, seconds: float, records: int) -> "BatchSize":
        """Return the size to use after a transaction of `records` that took `seconds`."""
        if seconds > GOAL_SECONDS:
            return self.smaller(min(records, self.now))
        if seconds < AIM_SECONDS and records >= self.now:
            fits = int(self.now * AIM_SECONDS / max(seconds, 0.001))
            return replace(self, now=min(self.limit, max(self.now + 1, min(fits, 2 * self.now))))
        return self

    def smaller(self, tried: int) -> "BatchSize":
        """Return half of what was tried, at least 1."""
        return replace(self, now=max(1, tried // 2))


def records_of(batch: Sequence[Fetched]) -> list[Record]:
    """Return the records of all parts, in order within each partition."""
    return [record for part in batch for record in part.records]


def by_topic(batch: Sequence[Fetched]) -> list[list[Fetched]]:
    """Return the parts of each topic for themselves, in order within each."""
    topics: dict[str, list[Fetched]] = {}
    for part in batch:
        topics.setdefault(part.partition.topic, []).append(part)
    return list(topics.values())


def halves(batch: Sequence[Fetched]) -> tuple[list[Fetched], list[Fetched]]:
    """Split a batch of at least two records in two; handled one after the other they keep every order."""
    if len(batch) > 1:
        middle = len(batch) // 2
        return list(batch[:middle]), list(batch[middle:])
    (part,) = batch
    middle = len(part.records) // 2
    cut = part.records[middle].offset
    return (
        [replace(part, next_position=cut, records=part.records[:middle])],
        [replace(part, position=cut, records=part.records[middle:])],
    )


def describe(fault: BaseException) -> str:
    """Say what failed and where, without the exception's text: that may quote a person's data."""
    frames = traceback.extract_tb(fault.__traceback__)
    place = f" at {frames[-1].name}:{frames[-1].lineno}" if frames else ""
    state = getattr(fault, "sqlstate", None)
    cause = f" from {type(fault.__cause__).__name__}" if fault.__cause__ else ""
    return f"{type(fault).__name__}{f' {state}' if state else ''}{place}{cause}"
