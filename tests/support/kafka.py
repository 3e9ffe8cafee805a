"""A real Apache Kafka for tests: one broker for all tests of a process, topics of its own for each test.

Set LEADLINE_TEST_KAFKA to the bootstrap address of a cluster to use that one instead. Where neither it nor
Java 17 with Maven is there, these tests skip with one line; LEADLINE_REQUIRE_KAFKA=1 makes that a failure.
"""

import os
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from deploy.kafka.local.broker import KafkaMissing, LocalKafka, check_tools, default_jars, fetch_jars
from shared.bus.kafka.administrator import administrator
from shared.bus.kafka.options import KafkaOptions
from shared.bus.kafka.topics import create
from shared.contracts.topics import TOPICS

# A member that dies in a test shall be missed at once; brokers ask for six seconds at least.
QUICK_GROUPS = ("group.min.session.timeout.ms=500",)
# What is compacted shall be so within a test.
QUICK_CLEANER = ("log.cleaner.backoff.ms=100", "log.cleaner.min.cleanable.ratio=0.01")


def kafka_jars() -> Path:
    """Return the folder with Kafka's jars; skip, or fail where Kafka is required."""
    try:
        check_tools()
        return fetch_jars(default_jars())
    except KafkaMissing as missing:
        no_kafka(str(missing))
        raise


@pytest.fixture(scope="session")
def kafka_broker() -> Iterator[LocalKafka]:
    """A broker of ours that may be struck; one for all tests of the process."""
    jars = kafka_jars()
    with tempfile.TemporaryDirectory(prefix="leadline-kafka-") as folder:
        broker = LocalKafka(Path(folder), jars, settings=QUICK_GROUPS + QUICK_CLEANER)
        try:
            broker.start()
            yield broker
        finally:
            broker.stop()


def no_kafka(why: str) -> None:
    """Skip, or fail where Kafka is required."""
    if os.environ.get("LEADLINE_REQUIRE_KAFKA") == "1":
        pytest.fail(f"LEADLINE_REQUIRE_KAFKA is set, and there is no Kafka: {why}", pytrace=False)
    pytest.skip(f"no Kafka: {why}")


@pytest.fixture(scope="session")
def kafka_bootstrap(request: pytest.FixtureRequest) -> str:
    """Where a cluster listens."""
    given = os.environ.get("LEADLINE_TEST_KAFKA")
    if given:
        return given
    broker: LocalKafka = request.getfixturevalue("kafka_broker")
    return broker.bootstrap


def kafka_variables(request: pytest.FixtureRequest) -> dict[str, str]:
    """Return the settings of a Leadline on the tests' cluster, under a prefix of its own."""
    return {
        "LEADLINE_BUS": "kafka",
        "LEADLINE_KAFKA_BOOTSTRAP": request.getfixturevalue("kafka_bootstrap"),
        "LEADLINE_KAFKA_PREFIX": f"r{uuid.uuid4().hex[:10]}.",
    }


@pytest_asyncio.fixture
async def kafka_options(kafka_bootstrap: str) -> AsyncIterator[KafkaOptions]:
    """A cluster with fresh topics of the registry under a prefix of this test's own."""
    options = KafkaOptions(kafka_bootstrap, prefix=f"t{uuid.uuid4().hex[:10]}.")
    await create(options)
    yield options
    async with administrator(options) as admin:
        await admin.delete_topics([options.topic(topic.name) for topic in TOPICS])


def patient(options: KafkaOptions) -> KafkaOptions:
    """Return options under which rebalances are quick."""
    return replace(options, session_seconds=1.2)


def quick(options: KafkaOptions) -> KafkaOptions:
    """Return options under which a member is also missed a second after its last poll."""
    return replace(patient(options), longest_poll_seconds=1.0)
