"""The bus contract on the Postgres adapter, each test on a fresh database."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack

import asyncpg
import pytest_asyncio

from shared.bus.postgres import PostgresBus, open_postgres_bus
from tests.contracts.bus.port_suite import BusContract
from tests.support.eventually import eventually

LEASE_SECONDS = 0.8


class PostgresHarness:
    """Each handle has its own pool, as each process does."""

    def __init__(self, url: str, stack: AsyncExitStack, admin: "asyncpg.Connection[asyncpg.Record]") -> None:
        self._url = url
        self._stack = stack
        self._admin = admin
        self.bus: PostgresBus

    async def another(self) -> PostgresBus:
        return await self._stack.enter_async_context(
            open_postgres_bus(self._url, service="scoring", lease_seconds=LEASE_SECONDS)
        )

    async def crash(self, group: str, member: str) -> None:
        async def gone() -> bool:
            found: int = await self._admin.fetchval(
                "SELECT count(*) FROM bus.member WHERE group_name = $1 AND member = $2"
                " AND expires_at > clock_timestamp()",
                group,
                member,
            )
            return found == 0

        await eventually(gone)

    async def cut(self) -> None:
        name = await self._admin.fetchval("SELECT current_database()")
        await self._admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        await self._admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )

    async def trim(self) -> Sequence[str]:
        # The registered groups have no members here; only those of the test shall count.
        await self._admin.execute(
            "SELECT bus.forget_group(g) FROM unnest(ARRAY['leadline-ingest', 'leadline-scoring',"
            " 'leadline-routing']) g"
        )
        rows = await self._admin.fetch("SELECT * FROM bus.trim_before(bus.today() + 1)")
        return [row["held_by"] for row in rows if not row["dropped"]]


@pytest_asyncio.fixture
async def harness(database_url: str) -> AsyncIterator[PostgresHarness]:
    admin = await asyncpg.connect(database_url)
    async with AsyncExitStack() as stack:
        made = PostgresHarness(database_url, stack, admin)
        made.bus = await made.another()
        yield made
    await admin.close()


class TestPostgresBus(BusContract):
    """Inherits the whole contract."""
