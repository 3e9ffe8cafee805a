"""One service's view of the database: its pool, its schema, its transactions.

SQL runs on asyncpg connections as text with arrays (`unnest`); there are no ORM objects.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from shared.db.cut_off import drop

# With no connection to be had by then, the caller hears a TimeoutError (503) instead of waiting on.
ACQUIRE_SECONDS = 3.0

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]
else:  # generic for the type checker only
    Connection = asyncpg.Connection | PoolConnectionProxy


@dataclass(slots=True)
class Transaction:
    """An open transaction. `schema` is the owning service's; `after_commit` runs only once it is durable."""

    connection: Connection
    schema: str
    after_commit: list[Callable[[], None]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Database:
    """A service's pool (role and time-outs are set on it) and schema name."""

    pool: "asyncpg.Pool[asyncpg.Record]"
    schema: str

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Open a unit of work: commits when the block ends, rolls back when it raises.

        Whoever is cancelled has no time left to hear of a rollback: the connection is cut off instead, and
        the server rolls back by itself.
        """
        connection = await self.pool.acquire(timeout=ACQUIRE_SECONDS)
        try:
            async with _committed(connection):
                unit = Transaction(connection, self.schema)
                yield unit
        except asyncio.CancelledError:
            await drop(self.pool, connection)
            raise
        except BaseException:
            await self.pool.release(connection)
            raise
        await self.pool.release(connection)
        for callback in unit.after_commit:
            callback()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """Borrow a connection for reads, each statement its own transaction."""
        async with self.pool.acquire(timeout=ACQUIRE_SECONDS) as connection:
            yield connection


@asynccontextmanager
async def _committed(connection: Connection) -> AsyncIterator[None]:
    """Commit what the block does, or roll it back where it raises; a cancellation leaves it open."""
    transaction = connection.transaction()
    await transaction.start()
    try:
        yield
    except asyncio.CancelledError:
        raise
    except BaseException:
        await transaction.rollback()
        raise
    await transaction.commit()
