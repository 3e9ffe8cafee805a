"""The consumer contract on every bus, positions in a real database."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from deploy.kafka.local.broker import LocalKafka
from shared.bus.kafka.options import KafkaOptions
from shared.db.database import Database
from tests.contracts.bus.adapters import (
    KafkaHarness,
    MemoryHarness,
    PostgresHarness,
    kafka_harness,
    postgres_harness,
)
from tests.contracts.bus.consumer_suite import ConsumerContract, make_seen
from tests.support.postgres import OpenService


@pytest_asyncio.fixture
async def database(database_url: str, service_database: OpenService) -> Database:
    await make_seen(database_url)
    return await service_database("scoring")


class TestConsumerOnMemoryBus(ConsumerContract):
    """Inherits the whole contract."""

    @pytest.fixture
    def harness(self) -> MemoryHarness:
        return MemoryHarness()


class TestConsumerOnPostgresBus(ConsumerContract):
    """Inherits the whole contract."""

    @pytest_asyncio.fixture
    async def harness(self, database_url: str, postgres_server: str) -> AsyncIterator[PostgresHarness]:
        async with postgres_harness(database_url, postgres_server) as made:
            yield made


class TestConsumerOnKafka(ConsumerContract):
    """Inherits the whole contract."""

    @pytest_asyncio.fixture
    async def harness(
        self, kafka_broker: LocalKafka, kafka_options: KafkaOptions
    ) -> AsyncIterator[KafkaHarness]:
        async with kafka_harness(kafka_options, kafka_broker.pid(kafka_broker.nodes[0])) as made:
            yield made
