"""When the timers look: at the next due instant, at least every quarter second; in time that tests move."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from unittest.mock import Mock

from hypothesis import given
from hypothesis import strategies as st

from services.routing.entrypoints.setbacks import LONGEST_PAUSE_SECONDS, Setbacks
from services.routing.entrypoints.timers import POLL_SECONDS, SHORTEST_SECONDS, Timers


class Wall:
    """Time that stands still until somebody sleeps."""

    def __init__(self, stop_at: float) -> None:
        self.now = 0.0
        self.stop_at = stop_at

    def clock(self) -> float:
        return self.now

    async def sleep(self, stop: asyncio.Event, seconds: float) -> None:
        self.now = round(self.now + seconds, 6)
        if self.now > self.stop_at:
            stop.set()


class Queues:
    """A `Due` with queues that are due at given times, each drained when it is looked at."""

    def __init__(self, wall: Wall, due_at: Sequence[float]) -> None:
        self.wall = wall
        self.waiting = sorted(due_at)
        self.looks: list[float] = []
        self.lateness: list[float] = []

    async def leads(self, now: datetime | None, limit: int) -> Sequence[str]:
        return []

    async def queues(self, now: datetime | None) -> Sequence[tuple[str, int]]:
        self.looks.append(self.wall.now)
        while self.waiting and self.waiting[0] <= self.wall.now:
            self.lateness.append(self.wall.now - self.waiting.pop(0))
        return []

    async def until_next(self) -> timedelta | None:
        return timedelta(seconds=self.waiting[0] - self.wall.now) if self.waiting else None

    async def beat(self, holder: str, gap: timedelta, now: datetime | None) -> bool:
        return False


async def _look(due_at: Sequence[float], stop_at: float) -> Queues:
    wall = Wall(stop_at)
    due = Queues(wall, due_at)
    # Nothing is found due, so neither database nor store is asked for.
    timers = Timers(Mock(), due, Mock(), clock=wall.clock, sleep=wall.sleep)
    await timers.run(asyncio.Event())
    return due


def test_the_next_look_is_at_the_next_due_instant() -> None:
    due = asyncio.run(_look([0.1, 0.6, 0.7], 1.0))
    assert {0.1, 0.6, 0.7} <= set(due.looks)
    assert due.lateness == [0, 0, 0]


@given(st.lists(st.integers(0, 3_000).map(lambda ms: ms / 1000), max_size=12))
def test_nothing_is_looked_at_late_by_more_than_the_shortest_sleep(due_at: list[float]) -> None:
    due = asyncio.run(_look(due_at, 3.5))
    assert len(due.lateness) == len(due_at)
    assert all(late <= SHORTEST_SECONDS for late in due.lateness)
    gaps = [later - earlier for earlier, later in zip(due.looks, due.looks[1:], strict=False)]
    assert all(gap <= POLL_SECONDS + 1e-9 for gap in gaps), "what is made due meanwhile is seen by the sweep"


def test_pauses_after_failures_double_up_to_a_minute_and_begin_anew_after_success() -> None:
    wall = Wall(0)
    setbacks = Setbacks(wall.clock)
    pauses = [setbacks.fail("ld_1") for _ in range(9)]
    assert pauses == [1, 2, 4, 8, 16, 32, *[LONGEST_PAUSE_SECONDS] * 3]
    assert setbacks.waits("ld_1")
    assert not setbacks.waits("ld_2")
    wall.now = 60
    assert not setbacks.waits("ld_1")
    setbacks.succeed(["ld_1"])
    assert (setbacks.fail("ld_1"), len(setbacks)) == (1, 1)
