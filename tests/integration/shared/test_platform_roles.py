"""Each service reaches its own schema and the functions it is meant to call, nothing else."""

from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio

from shared.bus.port import Outgoing
from shared.contracts.topics import ACTIVITY, SERVICES, ServiceName
from shared.db import migrate
from shared.db.database import Database
from shared.db.pool import UnsafeServer, open_database
from shared.db.roles import roles_sql, roles_usable
from shared.foundation import open_foundation
from shared.settings import ServiceSettings
from tests.support.postgres import OpenService, with_database, with_user

SCHEMAS = ("platform", "bus", *SERVICES)


def settings(url: str) -> ServiceSettings:
    return ServiceSettings.model_validate({"database_url": url, "pool_min_size": 0})


async def tables(database: Database, schema: str) -> list[str]:
    async with database.connection() as connection:
        rows = await connection.fetch(
            "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE n.nspname = $1 AND c.relkind IN ('r', 'p', 'v', 'm')",
            schema,
        )
    return [row["relname"] for row in rows]


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_works_under_its_own_role(
    service_database: OpenService, service: ServiceName
) -> None:
    database = await service_database(service)
    async with database.connection() as connection:
        assert await connection.fetchval("SELECT current_user") == f"leadline_{service}"
        assert await connection.fetchval("SELECT platform.current_epoch()") == 1
        assert await connection.fetchval("SELECT platform.cluster_id()")


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("schema", SCHEMAS)
async def test_a_service_reads_its_own_tables_and_no_others(
    service_database: OpenService, service: ServiceName, schema: str
) -> None:
    database = await service_database(service)
    names = await tables(database, schema)
    assert names
    for name in names:
        async with database.connection() as connection:
            if schema == service:
                await connection.fetch(f"SELECT * FROM {schema}.{name} LIMIT 1")
                continue
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.fetch(f"SELECT * FROM {schema}.{name} LIMIT 1")


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize(
    "call",
    [
        "platform.raise_epoch()",
        "platform.list_keys()",
        "platform.revoke_key('key_1')",
        "platform.create_key('k', sha256('x'), 'x', ARRAY['admin'], NULL, NULL, false, NULL)",
    ],
)
async def test_a_service_cannot_call_what_is_the_administrators(
    service_database: OpenService, service: ServiceName, call: str
) -> None:
    database = await service_database(service)
    async with database.connection() as connection:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.fetch(f"SELECT {call}")


async def test_resetting_a_session_keeps_the_role_and_the_time_outs(service_database: OpenService) -> None:
    database = await service_database("scoring")
    async with database.connection() as connection:
        await connection.execute("RESET ALL")
        assert await connection.fetchval("SELECT current_user") == "leadline_scoring"
        assert await connection.fetchval("SHOW lock_timeout") == "2s"
        assert await connection.fetchval("SHOW idle_in_transaction_session_timeout") == "3s"


@pytest_asyncio.fixture
async def plain_user_url(postgres_server: str, empty_database_url: str) -> AsyncIterator[str]:
    """A database owned by a user who may not create roles."""
    name = empty_database_url.partition("leadline_test_")[2].partition("?")[0]
    user = f"plain_{name}"
    server = await asyncpg.connect(postgres_server)
    try:
        await server.execute(f"CREATE ROLE {user} LOGIN")
        await server.execute(f"ALTER DATABASE leadline_test_{name} OWNER TO {user}")
        yield with_user(empty_database_url, user)
        await server.execute(f"ALTER DATABASE leadline_test_{name} OWNER TO CURRENT_USER")
        owner = await asyncpg.connect(empty_database_url)
        await owner.execute(f"REASSIGN OWNED BY {user} TO CURRENT_USER; DROP OWNED BY {user}")
        await owner.close()
        await server.execute(f"DROP ROLE {user}")
    finally:
        await server.close()


async def test_without_createrole_the_installation_works_with_one_role(plain_user_url: str) -> None:
    assert migrate.upgrade(plain_user_url) is True
    for service in SERVICES:
        database = await open_database(settings(plain_user_url), service)
        async with database.transaction() as tx:
            assert str(await tx.connection.fetchval("SELECT current_user")).startswith("plain_")
            await tx.connection.execute(f"SELECT count(*) FROM {service}.outbox")
            assert await tx.connection.fetchval("SELECT platform.current_epoch()") == 1
        await database.pool.close()


@pytest.mark.parametrize("service", SERVICES)
async def test_with_one_role_every_service_stands_on_database_and_bus_alike(
    plain_user_url: str, service: ServiceName, tmp_path: Path
) -> None:
    # "Where a server keeps no roles of ours" is played by a server that has them but gives us none.
    migrate.upgrade(plain_user_url)
    chosen = settings(plain_user_url).model_copy(update={"data_dir": tmp_path})
    async with open_foundation(chosen, service) as ground:
        await ground.bus.append([Outgoing(ACTIVITY.name, "k", (), b"{}")])
        subscription = await ground.bus.subscribe("leadline-scoring", [ACTIVITY.name], "m1")
        await subscription.poll({}, max_records=1, timeout_seconds=0)
        assert subscription.assigned
        await subscription.leave()


async def test_once_the_administrator_grants_the_roles_the_walls_stand(
    plain_user_url: str, postgres_server: str, empty_database_url: str
) -> None:
    migrate.upgrade(plain_user_url)
    user = plain_user_url.partition("://")[2].partition("@")[0]
    administrator = await asyncpg.connect(postgres_server)
    for line in roles_sql(user).splitlines():
        if line.startswith("GRANT"):  # the roles exist on this server; only the membership is missing
            await administrator.execute(line)
    await administrator.close()

    # Until the next upgrade grants the tables to them, the roles are not taken on.
    before = await open_database(settings(plain_user_url), "routing")
    async with before.connection() as connection:
        await connection.execute("SELECT count(*) FROM routing.outbox")
    await before.pool.close()

    assert migrate.upgrade(plain_user_url) is False
    database = await open_database(settings(plain_user_url), "routing")
    async with database.connection() as connection:
        assert await connection.fetchval("SELECT current_user") == "leadline_routing"
        await connection.execute("SELECT count(*) FROM routing.outbox")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("SELECT count(*) FROM scoring.outbox")
    await database.pool.close()


async def test_a_user_without_createrole_and_membership_cannot_use_the_roles(plain_user_url: str) -> None:
    connection = await asyncpg.connect(plain_user_url)
    try:
        assert await roles_usable(connection) is False
    finally:
        await connection.close()


async def test_a_database_with_synchronous_commit_off_is_refused(
    postgres_server: str, database_url: str
) -> None:
    connection = await asyncpg.connect(database_url)
    name = await connection.fetchval("SELECT current_database()")
    await connection.execute(f'ALTER DATABASE "{name}" SET synchronous_commit = off')
    await connection.close()
    with pytest.raises(UnsafeServer, match="synchronous_commit=off"):
        await open_database(settings(with_database(postgres_server, name)), "ingest")
