"""What a start asks instead of loading the migration tool says the same as the tool."""

import asyncpg
import pytest

from shared.db import migrate
from shared.db.schema_version import has_pending, newest_revision


async def told_to_upgrade(url: str) -> bool:
    connection = await asyncpg.connect(url)
    try:
        return await has_pending(connection)
    finally:
        await connection.close()


async def test_a_migrated_database_is_at_the_revision_that_the_tool_calls_newest(database_url: str) -> None:
    assert migrate.current(database_url) == newest_revision()
    assert not await told_to_upgrade(database_url)


async def test_a_database_that_is_empty_or_behind_is_to_be_upgraded(empty_database_url: str) -> None:
    assert await told_to_upgrade(empty_database_url)
    migrate.upgrade(empty_database_url, "0002")
    assert migrate.pending(empty_database_url)
    assert await told_to_upgrade(empty_database_url)


async def test_a_database_of_a_newer_release_is_left_as_it_is(empty_database_url: str) -> None:
    migrate.upgrade(empty_database_url)
    connection = await asyncpg.connect(empty_database_url)
    try:
        await connection.execute("UPDATE platform.alembic_version SET version_num = '9999'")
    finally:
        await connection.close()
    assert not await told_to_upgrade(empty_database_url)
    assert migrate.is_ahead(empty_database_url)
    assert migrate.pending(empty_database_url) == []
    migrate.upgrade(empty_database_url)
    assert migrate.current(empty_database_url) == "9999"
    with pytest.raises(migrate.UnknownRevision, match="9999"):
        migrate.downgrade(empty_database_url, "base")
