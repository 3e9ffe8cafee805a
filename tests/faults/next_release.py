"""What an upgrade to a next release does first: a schema that has more than ours, below processes of ours."""

import asyncio
import time

import asyncpg

from tests.faults.machine import BACK_SECONDS

REVISION = "next"
NEXT_COLUMN = "of_next_release"
_TABLES = """
SELECT format('%I.%I', n.nspname, c.relname)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = ANY (ARRAY['platform', 'bus', 'ingest', 'scoring', 'routing'])
    AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relname <> 'alembic_version'
ORDER BY 1
"""
# Somebody who waits for a table holds up all who come after him.
_LOCK_SECONDS = 1.0
AWAY = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)


def put_next_schema(url: str) -> int:
    """Add a column to every table and say that the database is at a revision of a newer release.

    Returns how many tables there are. What is done already is left as it is, so it may be asked for again.
    """
    deadline = time.monotonic() + BACK_SECONDS
    while True:
        try:
            return asyncio.run(_put(url))
        except AWAY:
            if time.monotonic() > deadline:
                raise


async def _put(url: str) -> int:
    connection = await asyncpg.connect(url, timeout=3)
    try:
        await connection.execute(f"SET lock_timeout = '{_LOCK_SECONDS:g}s'")
        tables = [str(row[0]) for row in await connection.fetch(_TABLES)]
        for table in tables:
            await connection.execute(f"ALTER TABLE {table} ADD COLUMN IF NOT EXISTS {NEXT_COLUMN} text")
        await connection.execute("UPDATE platform.alembic_version SET version_num = $1", REVISION)
        return len(tables)
    finally:
        connection.terminate()
