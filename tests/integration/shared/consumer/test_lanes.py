"""Lanes of one process are members of one group: they share the partitions, and end together."""

import asyncio
from collections.abc import Sequence

import pytest
import pytest_asyncio

from shared.bus.memory import MemoryBus
from shared.bus.port import Record
from shared.consumer.consumer import Consumer, TooManyFailures
from shared.consumer.lanes import Lanes
from shared.consumer.outcome import Handler, Rejection
from shared.contracts.topics import LEADS
from shared.db.database import Database, Transaction
from tests.contracts.bus.consumer_suite import GROUP, QUICK, Effects, make_seen, saw
from tests.contracts.bus.harness import TOPIC, message
from tests.support.eventually import eventually
from tests.support.postgres import OpenService


@pytest_asyncio.fixture
async def database(database_url: str, service_database: OpenService) -> Database:
    await make_seen(database_url)
    return await service_database("scoring")


def lane(bus: MemoryBus, database: Database, handler: Handler) -> Consumer:
    return Consumer(bus, database, group=GROUP, topics=[TOPIC], handler=handler, options=QUICK)


async def test_one_lane_works_while_another_waits_for_its_transaction(database: Database) -> None:
    bus = MemoryBus({TOPIC: 2})
    waiting, working = Effects(hold=asyncio.Event()), Effects()
    lanes = Lanes([lane(bus, database, waiting), lane(bus, database, working)])
    stop = asyncio.Event()
    running = asyncio.create_task(lanes.run(stop))
    sent = 0

    async def both_have_work() -> bool:
        nonlocal sent
        # Who holds which partition changes while the lanes join, so there is always more to read.
        await bus.append([message(sent, key=f"key-{sent}")])
        sent += 1
        return waiting.reached.is_set() and working.reached.is_set()

    await eventually(both_have_work)
    calls = working.calls
    await bus.append([message(number, key=f"key-{number}") for number in range(sent, sent + 50)])

    async def went_on() -> bool:
        return working.calls > calls

    await eventually(went_on)
    assert waiting.hold is not None
    waiting.hold.set()
    await eventually(saw(database, set(range(sent + 50))))
    stop.set()
    await running


async def test_a_transaction_has_messages_of_one_topic(database: Database) -> None:
    """What two topics make a service lock is locked in two transactions: in one it would be out of order."""
    bus = MemoryBus({TOPIC: 2, LEADS.name: 2})
    topics: list[set[str]] = []
    effects = Effects()

    async def handler(tx: Transaction, records: Sequence[Record]) -> Sequence[Rejection]:
        topics.append({record.partition.topic for record in records})
        return await effects(tx, records)

    await bus.append([message(number, topic=(TOPIC, LEADS.name)[number % 2]) for number in range(20)])
    consumer = Consumer(
        bus, database, group=GROUP, topics=[TOPIC, LEADS.name], handler=handler, options=QUICK
    )
    stop = asyncio.Event()
    running = asyncio.create_task(consumer.run(stop))
    await eventually(saw(database, set(range(20))))
    stop.set()
    await running
    assert max(map(len, topics)) == 1, "a transaction of two topics"


async def test_a_lane_that_stops_for_good_ends_the_others(database: Database) -> None:
    bus = MemoryBus({TOPIC: 2})
    await bus.append([message(number, key=f"key-{number}") for number in range(100)])
    broken = Effects(bugs=set(range(100)))
    lanes = Lanes([lane(bus, database, broken), lane(bus, database, broken)])
    with pytest.raises(TooManyFailures):
        async with asyncio.timeout(60):
            await lanes.run(asyncio.Event())
