"""One statement to the Postgres bus, answered or refused in time; faults become the port's exceptions."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import asyncpg

from shared.bus.port import BusUnavailable, OffsetOutOfRange, Partition, UnknownTopic
from shared.db.cut_off import drop
from shared.db.errors import is_transient

if TYPE_CHECKING:
    Pool = asyncpg.Pool[asyncpg.Record]

# Whoever waits must hear "not now" within 5 s, so the bus answers within 4 (DESIGN, promise 1).
CALL_SECONDS = 4.0

UNKNOWN_TOPIC = "LB001"
OUT_OF_RANGE = "LB002"


async def call(pool: "Pool", sql: str, *arguments: Any, seconds: float = CALL_SECONDS) -> Sequence[Any]:
    """Run one autocommit statement; raise BusUnavailable, OffsetOutOfRange or UnknownTopic."""
    try:
        async with asyncio.timeout(seconds):
            return await _run(pool, sql, arguments)
    except asyncpg.PostgresError as fault:
        if fault.sqlstate == OUT_OF_RANGE:
            raise _out_of_range(str(fault)) from fault
        if fault.sqlstate == UNKNOWN_TOPIC:
            raise UnknownTopic(str(fault)) from fault
        if is_transient(fault):
            raise BusUnavailable(type(fault).__name__) from fault
        raise
    except (OSError, TimeoutError, asyncpg.InterfaceError, asyncpg.InternalClientError) as fault:
        if is_transient(fault):
            raise BusUnavailable(type(fault).__name__) from fault
        raise


async def _run(pool: "Pool", sql: str, arguments: Sequence[Any]) -> Sequence[Any]:
    connection = await pool.acquire()
    try:
        rows = await connection.fetch(sql, *arguments)
    except asyncpg.PostgresError:
        await pool.release(connection)
        raise
    except BaseException:
        await drop(pool, connection)
        raise
    await pool.release(connection)
    return rows


def _out_of_range(message: str) -> OffsetOutOfRange:
    topic, number, position, first, next_offset = message.rsplit(" ", 4)
    return OffsetOutOfRange(Partition(topic, int(number)), int(position), int(first), int(next_offset))
