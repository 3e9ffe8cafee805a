"""What a start asks instead of loading the migration tool says the same as the tool."""

import asyncio

import asyncpg
import pytest
import pytest_asyncio

from leadline.cli.app import run
from leadline.cli.exit_codes import CONFLICT
from leadline.doctor import check_installation
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


@pytest_asyncio.fixture
async def newer_url(empty_database_url: str) -> str:
    """Return the URL of a database that a newer release has upgraded."""
    migrate.upgrade(empty_database_url)
    connection = await asyncpg.connect(empty_database_url)
    try:
        await connection.execute("UPDATE platform.alembic_version SET version_num = '9999'")
    finally:
        await connection.close()
    return empty_database_url


async def test_a_doctor_warns_of_a_newer_release_and_looks_at_the_rest(newer_url: str) -> None:
    found = {check.name: check for check in await check_installation(newer_url)}
    assert found["migrations"].status == "warning"
    assert "9999" in found["migrations"].detail
    assert found["roles"].status == "ok"


async def test_commands_leave_the_database_of_a_newer_release_alone(
    newer_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async def leadline(*arguments: str) -> int:
        return await asyncio.to_thread(run, ["db", *arguments, "--database", newer_url])

    assert await leadline("check") == 0
    assert await leadline("upgrade") == 0
    assert "newer release" in capsys.readouterr().err
    assert await leadline("downgrade", "base", "--yes") == CONFLICT
    assert "9999" in capsys.readouterr().err
    assert migrate.current(newer_url) == "9999"


async def test_a_database_of_a_newer_release_is_left_as_it_is(newer_url: str) -> None:
    assert not await told_to_upgrade(newer_url)
    assert migrate.is_ahead(newer_url)
    assert migrate.pending(newer_url) == []
    migrate.upgrade(newer_url)
    assert migrate.current(newer_url) == "9999"
    with pytest.raises(migrate.UnknownRevision, match="9999"):
        migrate.downgrade(newer_url, "base")
