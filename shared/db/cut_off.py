"""Letting go of a connection to a server that may not answer any more."""

from contextlib import suppress
from typing import TYPE_CHECKING

import asyncpg

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    Pool = asyncpg.Pool[asyncpg.Record]


async def drop(pool: "Pool", connection: "PoolConnectionProxy[asyncpg.Record]") -> None:
    """Hand a connection back cut off, without waiting for a server that may never answer.

    Never raises where the server cut it first: that would hide the cancellation that is under way.
    """
    with suppress(asyncpg.InterfaceError):
        connection.terminate()
    with suppress(asyncpg.InterfaceError):
        await pool.release(connection)
