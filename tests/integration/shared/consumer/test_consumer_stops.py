"""When a consumer must stop rather than guess, and the single guards of the positions."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace

import pytest
import pytest_asyncio
from msgspec import structs

from shared.bus.memory import MemoryBus, MemorySubscription
from shared.bus.port import (
    BusUnavailable,
    Fetched,
    LogIdentity,
    OffsetOutOfRange,
    Partition,
    Record,
)
from shared.consumer.consumer import Consumer, ConsumerOptions, TooManyFailures
from shared.consumer.dead_letters import list_letters
from shared.consumer.outcome import Handler, Rejection
from shared.consumer.positions import Fenced, Position, WrongLog, advance, claim, resume
from shared.consumer.watchdog import ConsumerStuck
from shared.contracts.topics import LEADS
from shared.db.database import Database, Transaction
from tests.contracts.bus.consumer_suite import (
    GROUP,
    QUICK,
    Effects,
    consuming,
    make_seen,
    saw,
    seen,
)
from tests.contracts.bus.harness import TOPIC, message
from tests.support.eventually import eventually
from tests.support.held_up import is_held_up
from tests.support.postgres import OpenService

PLACE = Partition(TOPIC, 0)
LOG = LogIdentity("cluster-a", {TOPIC: "topic-a"})


@pytest_asyncio.fixture
async def database(database_url: str, service_database: OpenService) -> Database:
    await make_seen(database_url)
    return await service_database("scoring")


@pytest.fixture
def bus() -> MemoryBus:
    return MemoryBus({TOPIC: 1, LEADS.name: 1})


async def run_until_it_ends(
    bus: MemoryBus, database: Database, handler: Handler, options: ConsumerOptions = QUICK
) -> None:
    consumer = Consumer(bus, database, group=GROUP, topics=[TOPIC], handler=handler, options=options)
    async with asyncio.timeout(20):
        await consumer.run(asyncio.Event())


async def claimed(database: Database, *, log: LogIdentity = LOG) -> Position:
    async with database.transaction() as tx:
        return (await claim(tx, GROUP, {PLACE: 0}, log))[PLACE]


def part(position: int, next_position: int) -> Fetched:
    return Fetched(PLACE, position, next_position, ())


async def test_a_former_owner_is_fenced(database: Database) -> None:
    old = await claimed(database)
    await claimed(database)
    with pytest.raises(Fenced):
        async with database.transaction() as tx:
            await advance(tx, GROUP, [part(0, 5)], {PLACE: old})


async def test_a_batch_that_does_not_start_at_the_position_is_refused(database: Database) -> None:
    mine = await claimed(database)
    with pytest.raises(Fenced):
        async with database.transaction() as tx:
            await advance(tx, GROUP, [part(3, 5)], {PLACE: mine})
    async with database.transaction() as tx:
        moved = await advance(tx, GROUP, [part(0, 5)], {PLACE: mine})
    assert moved[PLACE].next_offset == 5


async def test_positions_are_moved_in_the_order_in_which_they_are_taken_over(database: Database) -> None:
    """Whoever takes partitions over waits for who moves them, one by one: out of order both would wait."""
    mine: dict[Partition, Position] = {}
    for number in (1, 0):  # neither the batch nor the table has them in order
        async with database.transaction() as tx:
            mine |= await claim(tx, GROUP, {Partition(TOPIC, number): 0}, LOG)
    batch = [Fetched(place, 0, 5, ()) for place in mine]

    async def move() -> None:
        async with database.transaction() as tx:
            # Which plan is taken is the planner's business; this one comes to the rows as they lie.
            for way in ("indexscan", "bitmapscan", "mergejoin"):
                await tx.connection.execute(f"SET LOCAL enable_{way} = off")
            await advance(tx, GROUP, batch, mine)

    async with database.transaction() as tx:
        by_hand = f"SELECT 1 FROM {tx.schema}.consumer_position WHERE partition = $1 FOR UPDATE"
        await tx.connection.execute(by_hand, 0)
        both = asyncio.create_task(move())
        assert await is_held_up(both, database.pool)
        (found,) = await asyncio.gather(tx.connection.execute(f"{by_hand} NOWAIT", 1), return_exceptions=True)
    await both
    assert found == "SELECT 1", "partition 1 is held by one who waits for partition 0"


async def test_a_position_of_another_log_stops_the_consumer(database: Database) -> None:
    await claimed(database)
    for other in (LogIdentity("cluster-b", LOG.topics), LogIdentity("cluster-a", {TOPIC: "topic-b"})):
        with pytest.raises(WrongLog, match="delete the position"):
            await claimed(database, log=other)


async def test_a_consumer_on_another_cluster_stops(database: Database, bus: MemoryBus) -> None:
    await bus.append([message(number) for number in range(5)])
    async with consuming(bus, database, Effects()):
        await eventually(saw(database, set(range(5))))
    with pytest.raises(WrongLog):
        await run_until_it_ends(MemoryBus({TOPIC: 1}, cluster="another"), database, Effects())


async def test_a_consumer_overtaken_by_retention_stops(database: Database, bus: MemoryBus) -> None:
    await bus.append([message(number) for number in range(5)])
    async with consuming(bus, database, Effects()):
        await eventually(saw(database, set(range(5))))
    await bus.append([message(number) for number in range(5, 20)])
    end = (await bus.heads(TOPIC))[PLACE][1]
    bus.trim(PLACE, end - 1)
    with pytest.raises(OffsetOutOfRange):
        await run_until_it_ends(bus, database, Effects())
    assert await seen(database) == list(range(5))


async def test_a_bus_that_cannot_give_so_much_in_time_is_asked_for_less(
    database: Database, bus: MemoryBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    poll = MemorySubscription.poll

    async def slow_poll(
        self: MemorySubscription,
        positions: Mapping[Partition, int],
        *,
        max_records: int,
        timeout_seconds: float,
    ) -> Sequence[Fetched]:
        if max_records > 3:
            raise BusUnavailable("too much for the time there is")
        return await poll(self, positions, max_records=max_records, timeout_seconds=timeout_seconds)

    monkeypatch.setattr(MemorySubscription, "poll", slow_poll)
    await bus.append([message(number) for number in range(12)])
    async with consuming(bus, database, Effects()):
        await eventually(saw(database, set(range(12))))


async def test_a_new_group_starts_at_the_first_kept_message(database: Database, bus: MemoryBus) -> None:
    await bus.append([message(number) for number in range(20)])
    kept = [record.offset for record in bus.records(TOPIC)][10]
    bus.trim(PLACE, kept)
    expected = {int(record.value) for record in bus.records(TOPIC)}
    async with consuming(bus, database, Effects()):
        await eventually(saw(database, expected))


async def test_it_stops_after_too_many_failures_in_a_row_and_stays_stopped(
    database: Database, bus: MemoryBus
) -> None:
    await bus.append([message(number) for number in range(40)])
    broken = Effects(bugs=set(range(40)))
    for _ in range(3):
        with pytest.raises(TooManyFailures, match="resume"):
            await run_until_it_ends(bus, database, broken, replace(QUICK, attempts=1))
    assert len(await list_letters(database)) == QUICK.stop_after - 1
    assert await seen(database) == []
    assert await resume(database, GROUP) == 1
    async with consuming(bus, database, Effects()):
        await eventually(saw(database, set(range(QUICK.stop_after - 1, 40))))


async def test_a_handler_that_fails_on_everything_does_not_drain_the_topic(
    database: Database, bus: MemoryBus
) -> None:
    await bus.append([message(number) for number in range(10)])
    async with consuming(
        bus, database, Effects(bugs=set(range(10))), options=replace(QUICK, attempts=1)
    ) as run:

        async def stopped_or_went_too_far() -> bool:
            return run.done() or len(await list_letters(database)) >= QUICK.stop_after

        await eventually(stopped_or_went_too_far)
    assert len(await list_letters(database)) == QUICK.stop_after - 1


async def test_a_success_in_between_sets_the_count_back(database: Database, bus: MemoryBus) -> None:
    bus = MemoryBus({TOPIC: 1}, repeat_every=0)
    await bus.append([message(number) for number in range(40)])
    failing = set(range(0, 40, 5))
    async with consuming(bus, database, Effects(bugs=failing), options=replace(QUICK, attempts=1)):
        await eventually(saw(database, set(range(40)) - failing))
    assert len(await list_letters(database)) <= len(failing)


async def test_messages_of_an_older_epoch_are_skipped_except_activity(
    database_url: str, database: Database, bus: MemoryBus
) -> None:
    old, new = (("ce_epoch", b"0"),), (("ce_epoch", b"1"),)
    for topic, number, headers in ((LEADS.name, 1, old), (LEADS.name, 2, new), (TOPIC, 3, old)):
        await bus.append([structs.replace(message(number, topic=topic), headers=headers)])
    stop = asyncio.Event()
    consumer = Consumer(
        bus, database, group=GROUP, topics=[TOPIC, LEADS.name], handler=Effects(), options=QUICK
    )
    running = asyncio.create_task(consumer.run(stop))
    ends = {topic: (await bus.heads(topic))[Partition(topic, 0)][1] for topic in (TOPIC, LEADS.name)}

    async def has_passed() -> bool:
        async with database.connection() as connection:
            rows = await connection.fetch("SELECT topic, next_offset FROM scoring.consumer_position")
        return {row["topic"]: row["next_offset"] for row in rows} == ends

    passed: Callable[[], Awaitable[bool] | bool] = has_passed
    await eventually(passed)
    stop.set()
    await running
    assert sorted(await seen(database)) == [2, 3]


async def test_a_consumer_that_gets_nowhere_ends(database: Database, bus: MemoryBus) -> None:
    await bus.append([message(1)])

    async def hang(tx: Transaction, records: Sequence[Record]) -> Sequence[Rejection]:
        await asyncio.Event().wait()
        return ()

    with pytest.raises(ConsumerStuck, match="messages wait"):
        await run_until_it_ends(bus, database, hang, replace(QUICK, stuck_after_seconds=0.3))


async def test_the_position_moves_only_with_the_effects(database: Database, bus: MemoryBus) -> None:
    await bus.append([message(number) for number in range(3)])

    async def dies(tx: Transaction, records: Sequence[Record]) -> Sequence[Rejection]:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await run_until_it_ends(bus, database, dies)
    async with database.connection() as connection:
        assert await connection.fetchval("SELECT max(next_offset) FROM scoring.consumer_position") == 0
