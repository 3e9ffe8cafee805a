"""The bus contract on a real Apache Kafka, each test on fresh topics."""

from collections.abc import AsyncIterator

import pytest_asyncio

from deploy.kafka.local.broker import LocalKafka
from shared.bus.kafka.options import KafkaOptions
from tests.contracts.bus.adapters import KafkaHarness, kafka_harness
from tests.contracts.bus.port_suite import BusContract


@pytest_asyncio.fixture
async def harness(kafka_broker: LocalKafka, kafka_options: KafkaOptions) -> AsyncIterator[KafkaHarness]:
    async with kafka_harness(kafka_options, kafka_broker.pid(kafka_broker.nodes[0])) as made:
        yield made


class TestKafkaBus(BusContract):
    """Inherits the whole contract."""
