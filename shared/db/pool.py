"""Connection pools of the services: each works under its own role with time-outs that keep a fault short."""

from typing import TYPE_CHECKING

import asyncpg
import structlog

from shared.contracts.topics import ServiceName
from shared.db.database import Database
from shared.db.revision import role_of
from shared.db.roles import role_to_use

log = structlog.get_logger()

OLDEST_MAJOR = 15
CONNECT_SECONDS = 3.0

if TYPE_CHECKING:
    from shared.settings import ServiceSettings

    Pool = asyncpg.Pool[asyncpg.Record]


async def create_pool(
    url: str,
    *,
    service: ServiceName,
    role: str | None = "",
    application: str = "",
    min_size: int = 1,
    max_size: int = 10,
    statement_timeout_ms: int = 10_000,
    stateless: bool = False,
) -> "Pool":
    """Return an open pool for `service`.

    `stateless`: its users promise to leave nothing behind in a session (settings, locks, cursors), so that
    none is reset when it is handed back: that is a statement of its own.
    `role`: the role its sessions take on; default the service's own, None for an installation with one role.
    Time-outs (DESIGN: idle in transaction 3 s, locks 2 s) are session defaults, so `RESET ALL` keeps them.
    """
    settings = {
        "application_name": application or f"leadline-{service}",
        "idle_in_transaction_session_timeout": "3000",
        # A statement whose client has cut itself off ends with its locks, instead of running on to its limit.
        "client_connection_check_interval": "500",
        "lock_timeout": "2000",
        "statement_timeout": str(statement_timeout_ms),
        "jit": "off",
        "timezone": "UTC",
    }
    if role == "":
        role = role_of(service)
    if role is not None:
        settings["role"] = role
    return await asyncpg.create_pool(
        url,
        min_size=min_size,
        max_size=max_size,
        timeout=CONNECT_SECONDS,
        command_timeout=statement_timeout_ms / 1000 + 2,
        max_inactive_connection_lifetime=300,
        server_settings=settings,
        reset=_as_it_is if stateless else None,
    )


async def _as_it_is(_: object) -> None:
    """Leave a session as it is handed back."""


class UnsafeServer(RuntimeError):
    """The server would lose what it confirmed, or is too old; Leadline does not start on it."""


async def open_database(
    settings: "ServiceSettings", service: ServiceName, *, application: str = ""
) -> Database:
    """Check the server, choose the role, open the pool; close it with `await database.pool.close()`.

    Raises UnsafeServer (says what to change), or the connection's own error where the server is away.
    """
    role = await checked_role(settings.database(), service)
    return await open_database_as(role, settings, service, application=application)


async def checked_role(url: str, service: ServiceName) -> str | None:
    """Check the server; return the role for `service`, None in an installation with one role.

    Raises as `open_database`.
    """
    connection = await asyncpg.connect(url, timeout=CONNECT_SECONDS)
    try:
        await check_server(connection)
        role = await role_to_use(connection, service)
    finally:
        await connection.close()
    if role is None:
        log.warning("database.single_role", service=service)
    return role


async def open_database_as(
    role: str | None,
    settings: "ServiceSettings",
    service: ServiceName,
    *,
    application: str = "",
    away: bool = False,
) -> Database:
    """Open the pool under a role that is known. `away`: connect only once somebody needs it."""
    pool = await create_pool(
        settings.database(),
        service=service,
        role=role,
        application=application,
        min_size=0 if away else settings.pool_min_size,
        max_size=settings.pool_max_size,
        statement_timeout_ms=settings.statement_timeout_ms,
    )
    return Database(pool, service)


async def check_server(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Raise UnsafeServer unless the server is PostgreSQL 15+ and confirms only what is on disk."""
    major = connection.get_server_version().major
    if major < OLDEST_MAJOR:
        raise UnsafeServer(f"PostgreSQL {major} is too old: Leadline needs {OLDEST_MAJOR} or newer")
    if await connection.fetchval("SHOW fsync") == "off":
        raise UnsafeServer(
            "the server runs with fsync=off: a crash loses what was confirmed."
            " Set fsync = on in postgresql.conf"
        )
    if await connection.fetchval("SHOW synchronous_commit") == "off":
        raise UnsafeServer(
            "the server runs with synchronous_commit=off: a crash loses what was confirmed."
            " Set synchronous_commit = on (server, database or user)"
        )
