"""How far a topic reaches, for pages that people wait for."""

import asyncio
from collections.abc import Mapping

from shared.bus.port import Bus, BusUnavailable, Partition, UnknownTopic

# A page asks for several topics of several services, and has to answer within 5 s.
LOOK_SECONDS = 1.0


async def heads_if_told(bus: Bus, topic: str) -> Mapping[Partition, tuple[int, int]] | None:
    """Return (first kept offset, next offset) of each partition; None where the bus does not tell at once."""
    try:
        async with asyncio.timeout(LOOK_SECONDS):
            return await bus.heads(topic)
    except (BusUnavailable, UnknownTopic, TimeoutError):
        return None
