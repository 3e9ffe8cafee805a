"""Waking the relay: in memory where it runs in this process, else by a NOTIFY for many commits together.

A hint only: the relay's sweep finds what no hint told it of.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import asyncpg

from shared.db.database import Database
from shared.db.listen import NOTIFY

# A NOTIFY inside each business transaction halves the commits (measured), so hints are this far apart.
GATHER_SECONDS = 0.01

_relays: dict[str, list[Callable[[], None]]] = {}
_hints: dict[str, list[Callable[[], None]]] = {}


def channel(schema: str) -> str:
    """Return the NOTIFY channel on which the relay of `schema` listens."""
    return f"leadline_outbox_{schema}"


def wake(schema: str) -> None:
    """Tell whoever sends the outbox of `schema` that there is something to send."""
    for callback in _relays.get(schema) or _hints.get(schema) or ():
        callback()


@asynccontextmanager
async def relay_here(schema: str, callback: Callable[[], None]) -> AsyncIterator[None]:
    """While open, commits of this process call `callback`; used by the relay."""
    _relays.setdefault(schema, []).append(callback)
    try:
        yield
    finally:
        _relays[schema].remove(callback)


@asynccontextmanager
async def relay_elsewhere(database: Database) -> AsyncIterator[None]:
    """While open, commits of this process are told to the relay of another by a coalesced NOTIFY.

    For bootstraps: `async with relay_elsewhere(database): ...` around the service's life, in every role.
    """
    wanted = asyncio.Event()
    hints = _hints.setdefault(database.schema, [])
    hints.append(wanted.set)
    task = asyncio.create_task(_notify(database, wanted))
    try:
        yield
    finally:
        hints.remove(wanted.set)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _notify(database: Database, wanted: asyncio.Event) -> None:
    while True:
        await wanted.wait()
        wanted.clear()
        # Not being able to hint is no fault: the sweep finds the rows.
        with suppress(
            asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError
        ):
            async with database.connection() as connection:
                await connection.execute(NOTIFY, channel(database.schema), timeout=2)
        # The first commit after a rest is told at once; those that follow it closely, together.
        await asyncio.sleep(GATHER_SECONDS)
