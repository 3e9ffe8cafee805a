"""The bus contract on the Postgres adapter, each test on a fresh database."""

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.contracts.bus.adapters import PostgresHarness, postgres_harness
from tests.contracts.bus.port_suite import BusContract, TrimContract


@pytest_asyncio.fixture
async def harness(database_url: str, postgres_server: str) -> AsyncIterator[PostgresHarness]:
    async with postgres_harness(database_url, postgres_server) as made:
        yield made


class TestPostgresBus(BusContract, TrimContract):
    """Inherits the whole contract."""
