"""What every service stands on: database, bus, API keys; opened from the settings, closed in order."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import asyncpg
import structlog

from shared.bus.agreed import AgreedBus
from shared.bus.choice import open_bus
from shared.bus.port import Bus
from shared.clock import Clock, SystemClock
from shared.contracts.topics import ServiceName
from shared.db.cut_off import drop
from shared.db.database import Database
from shared.db.errors import is_transient
from shared.db.pool import checked_role, open_database_as
from shared.last_start import Told
from shared.outbox.wakeup import relay_elsewhere
from shared.settings import ServiceSettings
from shared.web.key_cache import KeyCache, PostgresKeys

log = structlog.get_logger()

# A connection that hangs at shutdown must not keep the process from ending.
CLOSE_SECONDS = 2.0
# A database that takes longer for nothing at all serves nobody.
LOOK_SECONDS = 1.5
# Rows may find room in pages that are there; a megabyte that may not stay in memory needs room on disk.
TAKE_ROOM = "SET LOCAL work_mem = '64kB'; SELECT count(*) FROM generate_series(1, 50000)"


@dataclass(frozen=True, slots=True)
class Foundation:
    """A service's database and bus (both open), its API keys, and the clock of its shells.

    `role`: under which it works. `last`: what the last start was told, where the database is away at this
    one.
    """

    database: Database
    bus: Bus
    keys: KeyCache
    clock: Clock
    role: str | None
    last: Told | None = None

    async def ready(self) -> Mapping[str, bool | str]:
        """Return the checks of `/readyz`."""
        return {"database": await writable(self.database)}


READABLE = ("read-only", "full")
"""States in which nothing can be stored, though what is there can be read."""


async def writable(database: Database) -> bool | str:
    """Return True, or in words why nothing can be stored at present: one of READABLE, or worse."""
    try:
        async with asyncio.timeout(LOOK_SECONDS):
            return await _look(database) or True
    except Exception as fault:
        if not is_transient(fault):
            raise
        crowded = isinstance(fault, asyncpg.TooManyConnectionsError)
        return "has no free connection" if crowded else "does not answer"


async def _look(database: Database) -> str:
    """Return what forbids writing, empty if nothing does."""
    connection = await database.pool.acquire()
    found = ""
    try:
        if await connection.fetchval("SHOW transaction_read_only") == "on":
            found = "read-only"
        else:
            await connection.execute(TAKE_ROOM)
    except asyncpg.DiskFullError:
        found = "full"
    except BaseException:
        # Not handed back as usual: that would wait for a server that does not answer.
        await drop(database.pool, connection)
        raise
    await database.pool.release(connection)
    return found


@asynccontextmanager
async def open_foundation(
    settings: ServiceSettings,
    service: ServiceName,
    *,
    bus: Bus | None = None,
    clock: Clock | None = None,
    last: Told | None = None,
) -> AsyncIterator[Foundation]:
    """Open what `service` stands on; `bus` and `clock` are taken as given where a caller has its own.

    `last`: what the last start was told; with it the service opens also while its database is away.
    """
    clock = clock or SystemClock()
    async with AsyncExitStack() as stack:
        role, last = await _role(settings, service, last)
        database = await stack.enter_async_context(_open_database(role, settings, service, away=bool(last)))
        await stack.enter_async_context(relay_elsewhere(database))
        if bus is None:
            opened = await stack.enter_async_context(open_bus(settings, service, role=role))
            bus = AgreedBus(opened, database)
        keys = KeyCache(
            PostgresKeys(database),
            ttl_seconds=settings.auth_cache_seconds,
            file=settings.data_dir / f"{service}-keys.json",
            clock=clock,
        )
        stack.push_async_callback(keys.close)
        yield Foundation(database, bus, keys, clock, role, last)


async def _role(
    settings: ServiceSettings, service: ServiceName, last: Told | None
) -> tuple[str | None, Told | None]:
    """Return the role that the server tells; where it is away that of the last start, and that itself."""
    try:
        return await checked_role(settings.database(), service), None
    except Exception as away:
        if last is None or not is_transient(away):
            raise
        log.warning("service.starts_without_database", service=service, error_type=type(away).__name__)
        return last.role, last


@asynccontextmanager
async def _open_database(
    role: str | None, settings: ServiceSettings, service: ServiceName, *, away: bool
) -> AsyncIterator[Database]:
    database = await open_database_as(role, settings, service, away=away)
    try:
        yield database
    finally:
        try:
            await asyncio.wait_for(database.pool.close(), CLOSE_SECONDS)
        except TimeoutError:
            database.pool.terminate()
