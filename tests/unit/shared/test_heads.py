"""A page does not wait for a bus that does not answer."""

import asyncio

import pytest

from shared.bus import heads
from shared.bus.heads import heads_if_told
from shared.bus.memory import MemoryBus
from shared.bus.port import Partition, UnknownTopic
from shared.contracts.topics import ACTIVITY


class Silent(MemoryBus):
    """Never tells how far its topics reach."""

    async def heads(self, topic: str) -> dict[Partition, tuple[int, int]]:
        await asyncio.Event().wait()
        return {}


class Bare(MemoryBus):
    """Has no topics yet."""

    async def heads(self, topic: str) -> dict[Partition, tuple[int, int]]:
        raise UnknownTopic(topic)


async def test_a_bus_that_is_silent_away_or_without_the_topic_tells_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(heads, "LOOK_SECONDS", 0.01)
    assert await heads_if_told(Silent(), ACTIVITY.name) is None
    assert await heads_if_told(Bare(), ACTIVITY.name) is None
    bus = MemoryBus()
    assert len(await heads_if_told(bus, ACTIVITY.name) or ()) == ACTIVITY.partitions
    bus.available = False
    assert await heads_if_told(bus, ACTIVITY.name) is None
