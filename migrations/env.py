"""Alembic's entry: one history, run over asyncpg, one transaction for each revision.

`shared/db/migrate.py` hands in an open connection; run from the alembic command line it opens its own.
"""

import asyncio
import os

from alembic import context
from sqlalchemy import Connection, text

from shared.db.migrate import MIGRATION_LOCK, engine_for
from shared.db.schema_version import VERSION_SCHEMA


def run(connection: Connection) -> None:
    """Run the requested revisions; a second runner waits for the first."""
    connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": MIGRATION_LOCK})
    connection.execute(text(f'CREATE SCHEMA IF NOT EXISTS "{VERSION_SCHEMA}"'))
    # A revision that cannot have its locks at once must fail rather than queue up every writer behind it.
    connection.execute(text("SET lock_timeout = '4s'"))
    connection.execute(text("SET statement_timeout = '60s'"))
    connection.commit()
    context.configure(
        connection=connection,
        version_table_schema=VERSION_SCHEMA,
        transaction_per_migration=True,
        include_schemas=True,
        compare_server_default=True,
    )
    try:
        with context.begin_transaction():
            context.run_migrations()
    finally:
        connection.rollback()
        connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": MIGRATION_LOCK})
        connection.commit()


async def run_alone() -> None:
    """Open a connection to LEADLINE_DATABASE_URL and run on it."""
    engine = engine_for(os.environ["LEADLINE_DATABASE_URL"])
    async with engine.connect() as connection:
        await connection.run_sync(run)
    await engine.dispose()


given = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    asyncio.run(run_alone())
