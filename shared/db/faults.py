"""Telling a database that is not there now from a statement that is wrong."""

from contextlib import suppress
from typing import TYPE_CHECKING

import asyncpg

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    Pool = asyncpg.Pool[asyncpg.Record]

# Classes of SQLSTATE: connection, transaction rolled back (deadlock), resources, not in the needed state
# (lock not available), operator intervention (shutdown, cancelled), system error (I/O), internal.
TRANSIENT_CLASSES = frozenset({"08", "40", "53", "55", "57", "58", "XX"})
IDLE_TOO_LONG = "25P03"


def is_transient(fault: BaseException) -> bool:
    """Return whether the same work may succeed later: lost connections, time-outs, locks, restarts."""
    if isinstance(fault, asyncpg.PostgresError):
        state = str(fault.sqlstate or "")
        return state[:2] in TRANSIENT_CLASSES or state == IDLE_TOO_LONG
    if isinstance(fault, asyncpg.InterfaceError):
        return not isinstance(fault, ValueError)  # a ValueError too: an argument of the wrong type
    # InternalClientError: asyncpg's answer on a connection that the server is just ending.
    return isinstance(fault, OSError | TimeoutError | asyncpg.InternalClientError)


async def drop(pool: "Pool", connection: "PoolConnectionProxy[asyncpg.Record]") -> None:
    """Hand a connection back cut off, without waiting for a server that may never answer.

    Never raises where the server cut it first: that would hide the cancellation that is under way.
    """
    with suppress(asyncpg.InterfaceError):
        connection.terminate()
    with suppress(asyncpg.InterfaceError):
        await pool.release(connection)
