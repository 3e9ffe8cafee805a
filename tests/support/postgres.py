"""A real PostgreSQL for tests: one embedded server for all test processes, a fresh clone of a template each.

Set LEADLINE_TEST_DATABASE to the URL of a server (a user who may create databases) to use that one instead.
"""

import asyncio
import fcntl
import hashlib
import os
import re
import shutil
import tempfile
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio

from shared.contracts.topics import ServiceName
from shared.db import migrate
from shared.db.database import Database
from shared.db.embedded import EmbeddedPostgres, create_database_sql
from shared.db.pool import create_pool

__all__ = ["database_url", "empty_database_url", "module_database_url", "postgres_server", "service_database"]

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE_SOURCES = ("migrations", "shared/db", "shared/bus")

OpenService = Callable[[ServiceName], Awaitable[Database]]


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of a server on which databases may be created; started once for all processes that test."""
    with server_for_tests() as url:
        yield url


@contextmanager
def server_for_tests() -> Iterator[str]:
    """Yield the URL of the server that the environment names, else of one that all processes share."""
    given = os.environ.get("LEADLINE_TEST_DATABASE")
    if given:
        yield given
        return
    name = hashlib.sha256(f"{ROOT}{os.geteuid()}".encode()).hexdigest()[:8]
    with shared_server(Path(tempfile.gettempdir()) / f"leadline-tests-{name}") as url:
        yield url


@contextmanager
def shared_server(directory: Path) -> Iterator[str]:
    """Start the server or join those who use it; the last to leave stops it and clears the folder."""
    directory.mkdir(exist_ok=True)
    with (directory / "start.lock").open("a") as start, (directory / "users.lock").open("a") as users:
        fcntl.flock(start, fcntl.LOCK_EX)
        server = EmbeddedPostgres(directory / "server")
        server.start()
        fcntl.flock(users, fcntl.LOCK_SH)
        fcntl.flock(start, fcntl.LOCK_UN)
        try:
            yield server.url("postgres")
        finally:
            fcntl.flock(start, fcntl.LOCK_EX)
            fcntl.flock(users, fcntl.LOCK_UN)
            try:
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                pass
            else:
                server.stop()
                shutil.rmtree(directory / "server", ignore_errors=True)


def with_database(url: str, name: str) -> str:
    """Return `url` with its database replaced."""
    return re.sub(r"^(\w+://[^/]*/)[^?]*", rf"\g<1>{name}", url)


def with_user(url: str, user: str) -> str:
    """Return `url` with its user replaced (the embedded server asks for no password)."""
    return re.sub(r"^(\w+://)[^/@]*@", rf"\g<1>{user}@", url)


def _template_name() -> str:
    digest = hashlib.sha256()
    for folder in TEMPLATE_SOURCES:
        for path in sorted((ROOT / folder).rglob("*.*")):
            if path.suffix in (".py", ".sql"):
                digest.update(path.read_bytes())
    return f"leadline_template_{digest.hexdigest()[:12]}"


async def _ensure_template(server: str) -> str:
    name = _template_name()
    connection = await asyncpg.connect(server)
    try:
        await connection.execute("SELECT pg_advisory_lock(1819632756)")
        if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", name):
            building = f"{name}_building"
            await connection.execute(f'DROP DATABASE IF EXISTS "{building}" WITH (FORCE)')
            await connection.execute(_create_database(connection, building))
            await asyncio.to_thread(migrate.upgrade, with_database(server, building))
            await connection.execute(f'ALTER DATABASE "{building}" RENAME TO "{name}"')
    finally:
        await connection.close()
    return name


def _create_database(connection: "asyncpg.Connection[asyncpg.Record]", name: str) -> str:
    if connection.get_server_version().major >= 17:
        return create_database_sql(name)
    return f"CREATE DATABASE \"{name}\" TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'"


@asynccontextmanager
async def fresh_database(server: str, *, migrated: bool = True) -> AsyncIterator[str]:
    """Create a database (a clone of the migrated template, or an empty one), drop it afterwards."""
    name = f"leadline_test_{uuid.uuid4().hex[:16]}"
    template = await _ensure_template(server) if migrated else None
    connection = await asyncpg.connect(server)
    try:
        if template is None:
            await connection.execute(_create_database(connection, name))
        else:
            # file_copy would force a checkpoint of the whole server for each clone
            await connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY wal_log')
        yield with_database(server, name)
        await connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
    finally:
        await connection.close()


@pytest_asyncio.fixture
async def database_url(postgres_server: str) -> AsyncIterator[str]:
    """A migrated database of its own for this test."""
    async with fresh_database(postgres_server) as url:
        yield url


@pytest_asyncio.fixture(scope="module")
async def module_database_url(postgres_server: str) -> AsyncIterator[str]:
    """A migrated database shared by the tests of one module."""
    async with fresh_database(postgres_server) as url:
        yield url


@pytest_asyncio.fixture
async def empty_database_url(postgres_server: str) -> AsyncIterator[str]:
    """A database without any schema, for tests of the migrations themselves."""
    async with fresh_database(postgres_server, migrated=False) as url:
        yield url


@pytest_asyncio.fixture
async def service_database(database_url: str) -> AsyncIterator[OpenService]:
    """Opens a service's Database (role, schema) here: `db = await service_database("scoring")`."""
    opened: list[Database] = []

    async def open_service(service: ServiceName) -> Database:
        pool = await create_pool(database_url, service=service, min_size=0, max_size=5)
        opened.append(Database(pool, service))
        return opened[-1]

    yield open_service
    for database in opened:
        await database.pool.close()
