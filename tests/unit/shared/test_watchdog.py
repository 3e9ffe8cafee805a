"""The watchdog: only a consumer that has something to read and gets nowhere is stuck."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from shared.bus.port import BusUnavailable
from shared.consumer.watchdog import ConsumerStuck, Progress, watch


class Hands:
    """A monotonic clock set by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


async def looks(progress: Progress, lag: Callable[[], Awaitable[int]]) -> None:
    """Let the watchdog look several times."""
    async with asyncio.timeout(0.1):
        await watch(progress, lag, stuck_after_seconds=0.06, who="g")


async def test_a_consumer_that_does_not_move_while_messages_wait_is_stuck() -> None:
    hands = Hands()
    progress = Progress(hands)

    async def lag() -> int:
        hands.now += 0.05
        return 7

    with pytest.raises(ConsumerStuck, match="g: 7 messages wait"):
        await looks(progress, lag)


async def test_one_that_moves_or_has_nothing_to_read_is_not() -> None:
    hands = Hands()
    progress = Progress(hands)
    found = iter([0, 5] * 1000)

    async def lag() -> int:
        hands.now += 0.05
        return next(found)

    with pytest.raises(TimeoutError):
        await looks(progress, lag)


async def test_a_bus_that_is_away_proves_nothing() -> None:
    hands = Hands()
    progress = Progress(hands)

    async def lag() -> int:
        hands.now += 100
        raise BusUnavailable

    with pytest.raises(TimeoutError):
        await looks(progress, lag)
