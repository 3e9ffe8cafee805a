"""The guards inside the Postgres bus: offsets visible in order, walls, days, group commit."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest
import pytest_asyncio

from shared.bus.port import OffsetOutOfRange, Partition
from shared.bus.postgres import PostgresBus, open_postgres_bus
from shared.contracts.topics import TOPICS, consumer_group
from shared.db.database import Database
from tests.contracts.bus.harness import TOPIC, message, reader
from tests.support.held_up import is_held_up
from tests.support.postgres import OpenService

APPEND = "SELECT bus.append($1, $2, $3, $4)"
FETCH = "SELECT body FROM bus.fetch($1, $2, $3, 100)"
_HEAD = """
SELECT 1 FROM bus.head h JOIN bus.topic t ON t.no = h.topic_no
WHERE t.name = $1 AND h.partition = $2 FOR UPDATE OF h
"""
_GROUPS = sorted({consumer_group(service) for topic in TOPICS for service in topic.consumers})
ONE = ([TOPIC], [0], [1], [b"v"])


@pytest_asyncio.fixture
async def bus(database_url: str) -> AsyncIterator[PostgresBus]:
    async with open_postgres_bus(database_url, service="ingest") as opened:
        yield opened


@pytest_asyncio.fixture
async def admin(database_url: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


async def test_an_append_waits_for_the_one_whose_offsets_come_before(
    database_url: str, admin: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    """Otherwise a reader could move past an offset whose transaction commits late."""
    other = await asyncpg.connect(database_url)
    await other.execute("SET lock_timeout = '200ms'")
    slow = admin.transaction()
    await slow.start()
    await admin.execute(APPEND, *ONE)
    with pytest.raises(asyncpg.LockNotAvailableError):
        await other.execute(APPEND, *ONE)
    assert await other.fetch(FETCH, [TOPIC], [0], [0]) == []
    await slow.commit()
    await other.execute(APPEND, *ONE)
    assert len(await other.fetch(FETCH, [TOPIC], [0], [0])) == 2
    await other.close()


async def test_a_position_within_a_block_gives_as_many_messages_as_asked_for(bus: PostgresBus) -> None:
    """A consumer takes a batch that is not full for the end of the backlog, and grows no further."""
    for begin in (0, 10):
        await bus.append([message(number, key="k") for number in range(begin, begin + 10)])
    place, (first, _) = next(
        (place, head) for place, head in (await bus.heads(TOPIC)).items() if head[1] - head[0] == 20
    )
    found = await bus.browse(place, first + 5, max_records=10)
    assert [int(record.value) for record in found] == list(range(5, 15))


async def test_an_append_goes_on_after_the_one_it_waited_for(
    admin: "asyncpg.Connection[asyncpg.Record]", service_database: OpenService
) -> None:
    """It takes its offsets once it has the head, so it neither meets the other's nor fails for them."""
    database = await service_database("ingest")

    async def append_one() -> None:
        async with database.connection() as connection:
            await connection.execute(APPEND, *ONE)

    async with admin.transaction():
        await admin.execute(APPEND, *ONE)
        second = asyncio.create_task(append_one())
        held_up = await is_held_up(second, database.pool)
    (fault,) = await asyncio.gather(second, return_exceptions=True)
    assert (held_up, fault) == (True, None)


async def test_partitions_are_locked_in_ascending_order(
    admin: "asyncpg.Connection[asyncpg.Record]", service_database: OpenService
) -> None:
    """Who waits for a partition holds none that comes after it: so two appends cannot wait for each other."""
    database = await service_database("ingest")

    async def append_both() -> None:
        async with database.connection() as connection:
            await connection.execute(APPEND, [TOPIC] * 2, [3, 0], [1, 1], [b"v"] * 2)

    async with admin.transaction():
        await admin.execute(_HEAD, TOPIC, 0)
        both = asyncio.create_task(append_both())
        assert await is_held_up(both, database.pool)
        (found,) = await asyncio.gather(admin.execute(f"{_HEAD} NOWAIT", TOPIC, 3), return_exceptions=True)
    await both
    assert found == "SELECT 1", "partition 3 is held by one who waits for partition 0"


async def test_a_position_before_what_is_kept_is_an_error(
    bus: PostgresBus, admin: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    """The log lost what the reader had not read: to go on at the first kept message would hide that."""
    await admin.execute(APPEND, *ONE)
    await admin.execute("SELECT bus.forget_group(g) FROM unnest($1::text[]) g", _GROUPS)
    await admin.execute("SELECT bus.trim_before(bus.today() + 1)")
    assert (await bus.heads(TOPIC))[Partition(TOPIC, 0)] == (1, 1)
    with pytest.raises(OffsetOutOfRange):
        await bus.browse(Partition(TOPIC, 0), 0, max_records=1)


async def test_an_append_that_is_rolled_back_leaves_no_gap(
    admin: "asyncpg.Connection[asyncpg.Record]", bus: PostgresBus
) -> None:
    failing = admin.transaction()
    await failing.start()
    await admin.execute(APPEND, *ONE)
    await failing.rollback()
    await admin.execute(APPEND, *ONE)
    assert (await bus.heads(TOPIC))[Partition(TOPIC, 0)] == (0, 1)


async def test_partitions_locked_in_any_order_do_not_deadlock(bus: PostgresBus, database_url: str) -> None:
    connections = [await asyncpg.connect(database_url) for _ in range(4)]

    async def produce(connection: "asyncpg.Connection[asyncpg.Record]", numbers: list[int]) -> None:
        count = len(numbers)
        for _ in range(30):
            await connection.execute(APPEND, [TOPIC] * count, numbers, [1] * count, [b"v"] * count)

    orders = [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1], [1, 3, 0, 2]]
    await asyncio.gather(*(produce(*pair) for pair in zip(connections, orders, strict=True)))
    for connection in connections:
        await connection.close()
    heads = await bus.heads(TOPIC)
    assert [heads[Partition(TOPIC, number)][1] for number in range(4)] == [120] * 4


async def test_concurrent_appends_share_commits(
    bus: PostgresBus, admin: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    await bus.append([message(0)])
    before = await admin.fetchval("SELECT max(xmin::text::bigint) FROM bus.block")
    await asyncio.gather(*(bus.append([message(number)]) for number in range(100)))
    commits = await admin.fetchval(
        "SELECT count(DISTINCT xmin::text) FROM bus.block WHERE xmin::text::bigint > $1", before
    )
    assert commits <= 10
    assert sum(next_offset for _, next_offset in (await bus.heads(TOPIC)).values()) == 101


async def test_a_caller_who_gives_up_takes_nobody_with_him(bus: PostgresBus) -> None:
    calls = [asyncio.create_task(bus.append([message(number)])) for number in range(20)]
    await asyncio.sleep(0)
    calls[7].cancel()
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert [number for number, result in enumerate(results) if result is not None] == [7]
    one = await reader(bus)
    assert set(await one.until(19)) >= set(range(20)) - {7}


async def test_a_missing_day_is_made_by_the_first_append(
    bus: PostgresBus, admin: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    """A machine that was off over midnight has no table for today."""
    await admin.execute("SELECT bus.trim_before(bus.today() + 2)")
    assert await admin.fetchval("SELECT count(*) FROM bus.day") == 0
    await asyncio.gather(*(bus.append([message(number)]) for number in range(5)))
    assert await admin.fetchval("SELECT array_agg(day) = ARRAY[bus.today()] FROM bus.day")


async def test_trimming_keeps_what_retention_keeps(bus: PostgresBus) -> None:
    await bus.append([message(number) for number in range(10)])
    assert list(await bus.maintain()) == []
    assert sum(next_offset - first for first, next_offset in (await bus.heads(TOPIC)).values()) == 10


async def test_a_day_that_nobody_has_read_is_kept_and_reported(
    bus: PostgresBus, admin: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    await bus.append([message(1, key="k")])
    rows = await admin.fetch("SELECT * FROM bus.trim_before(bus.today() + 1)")
    assert [row["dropped"] for row in rows] == [False]
    assert "group leadline-scoring at 0" in rows[0]["held_by"]


async def test_services_reach_the_log_only_through_its_functions(service_database: OpenService) -> None:
    database: Database = await service_database("ingest")
    forbidden = (
        "SELECT * FROM bus.block",
        "UPDATE bus.head SET next_offset = 0",
        "SELECT bus.trim_before(bus.today())",
        "SELECT bus.forget_group('leadline-scoring')",
        "SELECT bus.declare_topic('t', 1, interval '1 day', ARRAY['g'])",
    )
    for statement in forbidden:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with database.connection() as connection:
                await connection.execute(statement)
