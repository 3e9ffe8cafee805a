"""The embedded server keeps its data and comes back, whatever happened to it."""

import asyncio
import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from shared.db.embedded import MAX_SOCKET_PATH, EmbeddedPostgres
from shared.db.pool import UnsafeServer, open_database
from shared.settings import ServiceSettings
from tests.support.eventually import eventually_sync


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder outside pytest's own, which every pytest that starts on the machine closes to other users."""
    with tempfile.TemporaryDirectory(prefix="leadline-embedded-") as path:
        yield Path(path)


@pytest.fixture
def server(folder: Path) -> Iterator[EmbeddedPostgres]:
    embedded = EmbeddedPostgres(folder / "data")
    embedded.start()
    yield embedded
    embedded.stop()


async def write(url: str, number: int) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("CREATE TABLE IF NOT EXISTS kept (number int)")
        await connection.execute("INSERT INTO kept VALUES ($1)", number)
    finally:
        await connection.close()


async def read(url: str) -> list[int]:
    connection = await asyncpg.connect(url)
    try:
        return [row["number"] for row in await connection.fetch("SELECT number FROM kept ORDER BY number")]
    finally:
        await connection.close()


def kill_postmaster(server: EmbeddedPostgres) -> None:
    pid = server.pid()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    eventually_sync(lambda: not server.is_running(), what="the postmaster to be gone")


def test_data_is_kept_between_starts(server: EmbeddedPostgres) -> None:
    asyncio.run(write(server.url(), 1))
    server.stop()
    assert not server.is_running()
    server.start()
    assert asyncio.run(read(server.url())) == [1]


def test_a_server_killed_with_open_sessions_starts_again_with_its_data(server: EmbeddedPostgres) -> None:
    async def scenario() -> None:
        holding = await asyncpg.connect(server.url())
        await write(server.url(), 1)
        await holding.execute("BEGIN")
        kill_postmaster(server)
        assert await asyncio.to_thread(server.ensure_running)
        assert await read(server.url()) == [1]
        holding.terminate()

    asyncio.run(scenario())
    assert not server.ensure_running()


def test_a_later_supervisor_adopts_the_running_server(server: EmbeddedPostgres) -> None:
    pid = server.pid()
    successor = EmbeddedPostgres(server.directory)
    assert successor.start() == server.url()
    assert successor.pid() == pid


def test_a_lock_file_that_names_some_other_process_is_no_obstacle(server: EmbeddedPostgres) -> None:
    server.stop()
    lines = [str(os.getpid()), str(server.data), "1700000000", "5432", str(server.data), "", "1 2", "ready"]
    (server.data / "postmaster.pid").write_text("\n".join(lines) + "\n")
    assert not server.is_running()
    server.start()
    assert server.pid() != os.getpid()


def test_a_long_path_gets_a_short_socket(folder: Path) -> None:
    deep = folder / ("x" * MAX_SOCKET_PATH)
    embedded = EmbeddedPostgres(deep)
    embedded.start()
    try:
        asyncio.run(write(embedded.url(), 7))
    finally:
        embedded.stop()


def test_the_server_listens_on_no_network_address(server: EmbeddedPostgres) -> None:
    async def scenario() -> tuple[str, str, str]:
        connection = await asyncpg.connect(server.url())
        try:
            return (
                await connection.fetchval("SHOW listen_addresses"),
                await connection.fetchval("SHOW fsync"),
                await connection.fetchval("SHOW max_wal_size"),
            )
        finally:
            await connection.close()

    assert asyncio.run(scenario()) == ("", "on", "1GB")


def test_a_server_with_fsync_off_is_refused(server: EmbeddedPostgres) -> None:
    server.stop()
    with (server.data / "postgresql.auto.conf").open("a") as handle:
        handle.write("fsync = off\n")
    server.start()
    settings = ServiceSettings.model_validate({"database_url": server.url()})
    with pytest.raises(UnsafeServer, match="fsync=off"):
        asyncio.run(open_database(settings, "ingest"))
