"""Three brokers with three copies of everything: what the loss of some or all of them costs."""

import asyncio
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest
import pytest_asyncio

from deploy.kafka.local.broker import LocalKafka, Node
from shared.bus.kafka.administrator import administrator
from shared.bus.kafka.bus import KafkaBus, open_kafka_bus
from shared.bus.kafka.options import KafkaOptions
from shared.bus.kafka.survey import problems, survey
from shared.bus.kafka.topics import create
from shared.bus.port import BusUnavailable
from shared.db.database import Database
from tests.contracts.bus.consumer_suite import GROUP, Effects, consuming, make_seen, saw
from tests.contracts.bus.harness import message, reader
from tests.support.eventually import eventually
from tests.support.freezing import freeze as freeze_process
from tests.support.kafka import kafka_jars, patient
from tests.support.postgres import OpenService

PROMISE_SECONDS = 5.0


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalKafka]:
    jars = kafka_jars()
    with tempfile.TemporaryDirectory(prefix="leadline-cluster-") as folder:
        # A dead broker is missed after two seconds instead of nine.
        quick = ("group.min.session.timeout.ms=500", "broker.session.timeout.ms=2000")
        brokers = LocalKafka(Path(folder), jars, nodes=3, settings=quick)
        try:
            brokers.start()
            yield brokers
        finally:
            brokers.stop()


@pytest_asyncio.fixture
async def options(cluster: LocalKafka) -> KafkaOptions:
    options = patient(KafkaOptions(cluster.bootstrap, prefix=f"c{uuid.uuid4().hex[:8]}."))

    async def created() -> bool:
        # A broker that listens again may be counted out for a moment longer.
        try:
            await create(options, copies=3)
        except BusUnavailable as away:
            raise AssertionError(str(away)) from away
        return True

    async def in_sync() -> bool:
        return not problems(options, await survey(options))

    await eventually(created, timeout_seconds=60, what="topics with three copies")
    await eventually(in_sync, timeout_seconds=60, what="topics with three copies in sync")
    return options


@pytest_asyncio.fixture
async def database(database_url: str, service_database: OpenService) -> Database:
    await make_seen(database_url)
    return await service_database("scoring")


class Sending:
    """Somebody who appends all the time and remembers what was acknowledged, and how long it took."""

    def __init__(self, bus: KafkaBus) -> None:
        self._bus = bus
        self.acknowledged: set[int] = set()
        self.refused = 0
        self.slowest = 0.0
        self._stop = asyncio.Event()

    async def run(self, first: int) -> None:
        number = first
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                await self._bus.append([message(number)])
                self.acknowledged.add(number)
            except BusUnavailable:
                self.refused += 1
            self.slowest = max(self.slowest, time.monotonic() - began)
            number += 4

    async def goes_on(self) -> None:
        """Wait until something more has been acknowledged."""
        before = len(self.acknowledged)
        await eventually(
            lambda: len(self.acknowledged) > before + 40, timeout_seconds=60, what="acknowledgements"
        )

    def stop(self) -> None:
        self._stop.set()


@asynccontextmanager
async def sending(bus: KafkaBus) -> AsyncIterator[Sending]:
    one = Sending(bus)
    tasks = [asyncio.create_task(one.run(number)) for number in range(4)]
    try:
        await one.goes_on()
        yield one
    finally:
        one.stop()
        await asyncio.gather(*tasks)


async def all_are_there(bus: KafkaBus, acknowledged: set[int]) -> None:
    one = await reader(bus, group=uuid.uuid4().hex)
    found = await one.until(len(acknowledged), max_records=500)
    # What was refused may have arrived all the same, so that there may be more.
    while missing := acknowledged - set(found):
        before = len(found)
        found = await one.until(before + 1, max_records=500)
        assert len(found) > before, f"{len(missing)} acknowledged messages are gone, such as {min(missing)}"


def freeze(cluster: LocalKafka, nodes: list[Node]) -> Callable[[], None]:
    processes = [psutil.Process(cluster.pid(node)) for node in nodes]
    for process in processes:
        freeze_process(process)

    def thaw() -> None:
        for process in processes:
            process.resume()

    return thaw


async def test_three_copies_of_which_two_suffice_are_no_risk(options: KafkaOptions) -> None:
    assert problems(options, await survey(options)) == []


async def test_a_broker_that_is_killed_costs_nothing_acknowledged(
    cluster: LocalKafka, options: KafkaOptions
) -> None:
    node = cluster.nodes[0]
    async with open_kafka_bus(options) as bus:
        async with sending(bus) as sender:
            cluster.kill(node)
            await sender.goes_on()
            cluster.start_node(node)
            await asyncio.to_thread(cluster.wait_until_ready)
            await sender.goes_on()
        assert sender.slowest < PROMISE_SECONDS
        await all_are_there(bus, sender.acknowledged)


async def test_brokers_are_restarted_one_by_one_while_events_come_in(
    cluster: LocalKafka, options: KafkaOptions
) -> None:
    async with open_kafka_bus(options) as bus:
        async with sending(bus) as sender:
            for node in cluster.nodes:
                await asyncio.to_thread(cluster.end, node)
                cluster.start_node(node)
                await asyncio.to_thread(cluster.wait_until_ready)
                await sender.goes_on()
        await all_are_there(bus, sender.acknowledged)


@pytest.mark.parametrize("frozen", [2, 3])
async def test_without_a_majority_events_are_refused_in_time_and_taken_again_afterwards(
    cluster: LocalKafka, options: KafkaOptions, frozen: int
) -> None:
    async with open_kafka_bus(options) as bus:
        async with sending(bus) as sender:
            thaw = freeze(cluster, cluster.nodes[:frozen])
            try:
                before = sender.refused
                await eventually(lambda: sender.refused >= before + 8, timeout_seconds=60, what="refusals")
            finally:
                thaw()
            await sender.goes_on()
        assert sender.slowest < PROMISE_SECONDS
        await all_are_there(bus, sender.acknowledged)


async def coordinator_of(cluster: LocalKafka, options: KafkaOptions) -> Node:
    async with administrator(options) as admin:
        number = await admin.find_coordinator(options.prefix + GROUP)
    return next(node for node in cluster.nodes if node.number == number)


async def test_a_group_that_loses_its_coordinator_reads_on(
    cluster: LocalKafka, options: KafkaOptions, database: Database
) -> None:
    async with open_kafka_bus(options) as bus, consuming(bus, database, Effects()):
        await bus.append([message(number) for number in range(20)])
        await eventually(saw(database, set(range(20))), timeout_seconds=30)
        lost = await coordinator_of(cluster, options)
        cluster.kill(lost)
        try:
            await eventually(lambda: _takes(bus, 20), timeout_seconds=30, what="an append")
            await eventually(saw(database, set(range(21))), timeout_seconds=60)
        finally:
            cluster.start_node(lost)
            await asyncio.to_thread(cluster.wait_until_ready)


async def _takes(bus: KafkaBus, number: int) -> bool:
    try:
        await bus.append([message(number)])
    except BusUnavailable as away:
        raise AssertionError(str(away)) from away
    return True


async def test_two_members_with_every_broker_killed_lose_and_double_nothing(
    cluster: LocalKafka, options: KafkaOptions, database: Database
) -> None:
    async with open_kafka_bus(options) as one, open_kafka_bus(options) as other:
        effects = Effects()
        async with consuming(one, database, effects), consuming(other, database, effects, member="c2"):
            async with sending(one) as sender:
                for node in cluster.nodes:
                    cluster.kill(node)
                for node in cluster.nodes:
                    cluster.start_node(node)
                await asyncio.to_thread(cluster.wait_until_ready)
                await sender.goes_on()

            async def all_handled() -> bool:
                async with database.connection() as connection:
                    rows = await connection.fetch("SELECT number FROM scoring.seen")
                missing = sender.acknowledged - {row["number"] for row in rows}
                assert not missing, f"{len(missing)} are not handled"
                return True

            await eventually(all_handled, timeout_seconds=90, what="all that was acknowledged")
