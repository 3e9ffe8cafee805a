"""LISTEN with a callback, on a connection of its own that is renewed for as long as it is wanted."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import asyncpg

from shared.db.cut_off import drop
from shared.db.errors import is_transient

if TYPE_CHECKING:
    Pool = asyncpg.Pool[asyncpg.Record]

# A hint need not survive a crash: its commit does not wait for the disk (this transaction's setting only).
NOTIFY = "SELECT set_config('synchronous_commit', 'off', true), pg_notify($1, '')"

RECONNECT_SECONDS = 1.0
# A connection cut without a word looks alive for ever; asking now and then finds it out.
PROBE_SECONDS = 20.0
PROBE_TIMEOUT_SECONDS = 4.0


@asynccontextmanager
async def listening(pool: "Pool", channel: str, callback: Callable[[], None]) -> AsyncIterator[None]:
    """While open, call `callback` at each NOTIFY on `channel`, and once whenever the connection is made anew.

    Holds one connection of `pool`. Notifications are hints: none come while the database is away.
    """
    task = asyncio.create_task(_listen(pool, channel, callback))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _listen(pool: "Pool", channel: str, callback: Callable[[], None]) -> None:
    while True:
        try:
            await _listen_once(pool, channel, callback)
        except Exception as fault:
            if not is_transient(fault):
                raise
        await asyncio.sleep(RECONNECT_SECONDS)


async def _listen_once(pool: "Pool", channel: str, callback: Callable[[], None]) -> None:
    def heard(*_: Any) -> None:
        callback()

    connection = await pool.acquire(timeout=PROBE_TIMEOUT_SECONDS)
    try:
        await connection.add_listener(channel, heard)
        callback()
        while not connection.is_closed():
            await asyncio.sleep(PROBE_SECONDS)
            await connection.execute("SELECT 1", timeout=PROBE_TIMEOUT_SECONDS)
    finally:
        # Not kept: undoing LISTEN would need an answer from a server that may be gone.
        await drop(pool, connection)
