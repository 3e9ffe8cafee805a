"""What a start asks instead of loading the migration tool says the same as the tool."""

import asyncpg

from shared.db import migrate
from shared.db.schema_version import is_up_to_date, newest_revision


async def told(url: str) -> bool:
    connection = await asyncpg.connect(url)
    try:
        return await is_up_to_date(connection)
    finally:
        await connection.close()


async def test_a_migrated_database_is_at_the_revision_that_the_tool_calls_newest(database_url: str) -> None:
    assert migrate.current(database_url) == newest_revision()
    assert await told(database_url)


async def test_a_database_that_is_empty_or_behind_is_not_up_to_date(empty_database_url: str) -> None:
    assert not await told(empty_database_url)
    migrate.upgrade(empty_database_url, "0002")
    assert migrate.pending(empty_database_url)
    assert not await told(empty_database_url)
