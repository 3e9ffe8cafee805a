"""How far a service is behind on the topics it reads."""

import asyncio
from collections.abc import Sequence

from shared.bus.heads import heads_if_told
from shared.bus.port import Bus
from shared.db.database import Database


async def lag(database: Database, bus: Bus, group: str, topics: Sequence[str]) -> dict[str, int | None]:
    """Return per topic how many offsets `group` has not handled yet; None where the bus cannot tell now.

    Offsets may have gaps, so on a bus with gaps this is an upper bound.
    """
    async with database.connection() as connection:
        rows = await connection.fetch(
            f"SELECT topic, partition, next_offset FROM {database.schema}.consumer_position"
            " WHERE consumer_group = $1",
            group,
        )
    reached = {(row["topic"], row["partition"]): row["next_offset"] for row in rows}
    behind = await asyncio.gather(*(_behind(bus, topic, reached) for topic in topics))
    return dict(zip(topics, behind, strict=True))


async def _behind(bus: Bus, topic: str, reached: dict[tuple[str, int], int]) -> int | None:
    heads = await heads_if_told(bus, topic)
    if heads is None:
        return None
    return sum(
        max(0, end - reached.get((topic, place.number), start)) for place, (start, end) in heads.items()
    )
