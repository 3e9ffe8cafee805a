"""Bringing a database to a revision: `upgrade`, `downgrade`, `current`, `pending`.

All four block and may be called with or without a running event loop; URLs are asyncpg's (`postgresql://…`).
"""

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import asyncpg
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from shared.db.roles import settle_roles
from shared.db.schema_version import SCRIPTS, VERSION_SCHEMA, is_known

MIGRATION_LOCK = 0x6C65_6164  # advisory lock "lead": two migrations never run side by side

T = TypeVar("T")


class UnknownRevision(Exception):
    """The database is at the revision of a newer release; only that one can undo it."""


def engine_for(url: str) -> AsyncEngine:
    """Return an engine whose connections asyncpg opens, so that every URL it takes is taken here."""

    async def connect() -> Any:
        return await asyncpg.connect(
            url, timeout=10, server_settings={"application_name": "leadline-migrate"}
        )

    return create_async_engine("postgresql+asyncpg://", async_creator=connect, poolclass=NullPool)


def upgrade(url: str, revision: str = "head") -> bool:
    """Run every pending revision up to `revision`; return True where the installation has only one role.

    In that case show the operator `shared.db.roles.roles_sql(user)`. A database that a newer release has
    upgraded is left as it is.
    """
    if not is_ahead(url):
        with_connection(url, lambda connection: command.upgrade(_config(connection), revision))
    return _blocking(_settle(url))


def downgrade(url: str, revision: str) -> None:
    """Go back to `revision` (`base` undoes all; data of the undone schemas is lost).

    Raises:
        UnknownRevision: a newer release has upgraded the database.
    """
    if is_ahead(url):
        raise UnknownRevision(f"the database is at revision {current(url)}, of a newer release")
    with_connection(url, lambda connection: command.downgrade(_config(connection), revision))


def current(url: str) -> str | None:
    """Return the revision the database is at, None where it has never been migrated."""
    return with_connection(url, _current)


def is_ahead(url: str) -> bool:
    """Return whether a newer release has upgraded the database."""
    at = current(url)
    return at is not None and not is_known(at)


def user(url: str) -> str:
    """Return the database user that `url` connects as."""
    return with_connection(
        url, lambda connection: str(connection.exec_driver_sql("SELECT user").scalar_one())
    )


def pending(url: str) -> list[str]:
    """Return the revisions `upgrade` would run, oldest first; none where a newer release has upgraded."""
    at = current(url)
    if at is not None and not is_known(at):
        return []
    script = ScriptDirectory.from_config(_config(None))
    revisions = script.iterate_revisions("head", at or "base")
    return [revision.revision for revision in revisions][::-1]


def _current(connection: Connection) -> str | None:
    context = MigrationContext.configure(connection, opts={"version_table_schema": VERSION_SCHEMA})
    return context.get_current_revision()


def _config(connection: Connection | None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


async def _settle(url: str) -> bool:
    connection = await asyncpg.connect(url, timeout=10)
    try:
        return await settle_roles(connection)
    finally:
        await connection.close()


def with_connection(url: str, work: Callable[[Connection], T]) -> T:
    """Return `work(connection)` on a SQLAlchemy connection, for what Alembic itself has to look at."""

    async def run() -> T:
        engine = engine_for(url)
        try:
            async with engine.connect() as connection:
                return await connection.run_sync(work)
        finally:
            await engine.dispose()

    return _blocking(run())


def _blocking(work: Coroutine[Any, Any, T]) -> T:
    # A thread of its own, since the caller may sit inside an event loop.
    with ThreadPoolExecutor(1) as executor:
        return executor.submit(asyncio.run, work).result()
