"""The relay against a real outbox: nothing lost whatever the order of commits, crashes and rivals."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
import pytest_asyncio

from shared.bus.memory import MemoryBus
from shared.bus.port import BusUnavailable, Outgoing
from shared.contracts.envelope import from_headers
from shared.contracts.topics import HANDOFFS
from shared.db.database import Database
from shared.db.role_lease import LeaseLost
from shared.outbox.append import OutboxEvent, append
from shared.outbox.feed_wakeup import feed_channel, feed_hints, tell_readers
from shared.outbox.relay import Relay, RelayOptions
from shared.outbox.rows import MAX_BYTES, backlog, delete_old, mark_sent, select_unsent
from shared.outbox.wakeup import relay_elsewhere
from tests.support.eventually import eventually
from tests.support.held_up import is_held_up
from tests.support.postgres import OpenService

QUICK = RelayOptions(batch=20, sweep_seconds=0.05, lease_seconds=0.6, first_pause_seconds=0.01)
FEED = "leadline.handoff.assigned.v1"
PRIVATE = "leadline.lead.qualified.v1"


def event(number: int, *, key: str = "k", kind: str = FEED) -> OutboxEvent:
    return OutboxEvent(
        str(number), HANDOFFS.name, kind, key, datetime(2026, 1, 1, tzinfo=UTC), str(number).encode()
    )


def a_relay(bus: MemoryBus, database: Database, **more: object) -> Relay:
    return Relay(bus, database, feed_types=[FEED], options=QUICK, holder=str(more.get("holder", "r1")))


@pytest_asyncio.fixture
async def database(service_database: OpenService) -> Database:
    return await service_database("scoring")


@pytest.fixture
def bus() -> MemoryBus:
    return MemoryBus(gap_every=0, repeat_every=0)


async def add(database: Database, events: Sequence[OutboxEvent]) -> None:
    async with database.transaction() as tx:
        await append(tx, events)


async def feed(database: Database) -> list[tuple[int, str]]:
    async with database.connection() as connection:
        rows = await connection.fetch(
            "SELECT feed_seq, event_id FROM scoring.outbox WHERE feed_seq IS NOT NULL ORDER BY feed_seq"
        )
    return [(row["feed_seq"], row["event_id"]) for row in rows]


async def test_an_event_is_sent_with_its_attributes_and_the_installations_epoch(
    database: Database, bus: MemoryBus
) -> None:
    await add(database, [event(1, key="lead")])
    await a_relay(bus, database).turn()
    (sent,) = bus.appended
    attributes = from_headers(sent.headers)
    assert (sent.topic, sent.key, sent.value) == (HANDOFFS.name, "lead", b"1")
    assert (attributes.id, attributes.type, attributes.source) == ("1", FEED, "leadline/scoring")
    assert attributes.epoch == 1


async def test_an_id_that_is_there_already_is_left_as_it_is(database: Database, bus: MemoryBus) -> None:
    await add(database, [event(1), event(2)])
    await add(database, [event(2), event(3)])
    await a_relay(bus, database).turn()
    assert [message.value for message in bus.appended] == [b"1", b"2", b"3"]


async def test_events_of_one_call_keep_their_order(database: Database, bus: MemoryBus) -> None:
    numbers = list(range(50))
    random.Random(7).shuffle(numbers)
    await add(database, [event(number) for number in numbers])
    relay = a_relay(bus, database)
    while await relay.turn():
        pass
    assert [int(message.value) for message in bus.appended] == numbers


async def test_large_events_go_in_several_appends(database: Database, bus: MemoryBus) -> None:
    large = [replace(event(number), payload=bytes(MAX_BYTES // 4)) for number in range(10)]
    await add(database, [*large, replace(event(10), payload=bytes(2 * MAX_BYTES)), event(11)])
    relay = a_relay(bus, database)
    assert [await relay.turn() for _ in range(5)] == [4, 4, 3, 1, 0]
    assert len(bus.appended) == 12


async def test_fifty_transactions_that_commit_out_of_order_lose_nothing(
    database_url: str, database: Database, bus: MemoryBus
) -> None:
    order = list(range(50))
    random.Random(3).shuffle(order)
    connections = [await asyncpg.connect(database_url) for _ in range(50)]
    transactions = [connection.transaction() for connection in connections]
    stop = asyncio.Event()
    running = asyncio.create_task(a_relay(bus, database).run(stop))
    for number, (connection, transaction) in enumerate(zip(connections, transactions, strict=True)):
        await transaction.start()
        await connection.execute(
            "INSERT INTO scoring.outbox (event_id, topic, type, key, time, payload)"
            " VALUES ($1, $2, $3, $1, now(), $4)",
            str(number),
            HANDOFFS.name,
            FEED,
            str(number).encode(),
        )
    for number in order:
        await transactions[number].commit()
        await connections[number].close()
    await eventually(lambda: len({message.value for message in bus.appended}) == 50)
    stop.set()
    await running
    assert [seq for seq, _ in await feed(database)] == list(range(1, 51))
    assert len(bus.appended) == 50


async def test_a_transaction_that_commits_late_is_not_passed_over(database: Database, bus: MemoryBus) -> None:
    """The id drawn first becomes visible last: a relay that remembers the highest id would never see it."""
    relay = a_relay(bus, database)
    async with database.transaction() as late:
        await append(late, [event(1)])
        await add(database, [event(2)])
        await relay.turn()
    await relay.turn()
    assert [message.value for message in bus.appended] == [b"2", b"1"]


async def test_numbers_of_the_feed_become_visible_in_order(database: Database) -> None:
    """A number must not be seen while a lower one may still come: a reader's cursor would skip that."""
    await add(database, [event(1), event(2)])
    rows, _ = await select_unsent(database, limit=2)

    async def mark(number: int) -> None:
        async with database.transaction() as tx:
            await mark_sent(tx, [rows[number].id], epoch=1, feed_types=[FEED])

    await mark(0)
    await add(database, [event(3)])
    (third,) = (row for row in (await select_unsent(database, limit=5))[0] if row.event_id == "3")
    async with database.transaction() as tx:
        await mark_sent(tx, [third.id], epoch=1, feed_types=[FEED])
        second = asyncio.create_task(mark(1))
        held_up = await is_held_up(second, database.pool)
        seen = await feed(database)
    (fault,) = await asyncio.gather(second, return_exceptions=True)
    assert (held_up, fault, seen) == (True, None, [(1, "1")])
    assert await feed(database) == [(1, "1"), (2, "3"), (3, "2")]


async def test_of_two_relays_one_sends_and_the_other_takes_over(database: Database, bus: MemoryBus) -> None:
    first, second = a_relay(bus, database, holder="r1"), a_relay(bus, database, holder="r2")
    await add(database, [event(1)])
    assert await first.turn() == 1
    await add(database, [event(2)])
    assert await second.turn() == 0
    stop = asyncio.Event()
    runs = [asyncio.create_task(relay.run(stop)) for relay in (a_relay(bus, database, holder="r3"), second)]
    await eventually(lambda: len(bus.appended) == 2)
    stop.set()
    await asyncio.gather(*runs)


async def test_a_relay_whose_lease_ran_out_meanwhile_marks_nothing(database: Database) -> None:
    """A zombie: it sent, another took over, sent and marked; the zombie's marking must not count again."""
    rival_bus = MemoryBus(gap_every=0, repeat_every=0)

    class SlowBus(MemoryBus):
        async def append(self, messages: Sequence[Outgoing]) -> None:
            await super().append(messages)
            await expire_lease(database)
            assert await a_relay(rival_bus, database, holder="rival").turn() == 1

    zombie_bus = SlowBus(gap_every=0, repeat_every=0)
    await add(database, [event(1)])
    with pytest.raises(LeaseLost):
        await a_relay(zombie_bus, database, holder="zombie").turn()
    assert len(zombie_bus.appended) == len(rival_bus.appended) == 1
    assert await feed(database) == [(1, "1")]


async def test_a_crash_between_sending_and_marking_repeats_and_never_loses(
    database: Database, bus: MemoryBus
) -> None:
    class CrashingBus(MemoryBus):
        async def append(self, messages: Sequence[Outgoing]) -> None:
            await bus.append(messages)
            raise BusUnavailable("the answer was lost")

    await add(database, [event(1), event(2)])
    with pytest.raises(BusUnavailable):
        await a_relay(CrashingBus(), database).turn()
    await a_relay(bus, database).turn()
    assert [message.value for message in bus.appended] == [b"1", b"2", b"1", b"2"]
    assert await backlog(database) == (0, 0.0)


async def test_the_feed_is_dense_ordered_and_only_of_the_flagged_types(
    database: Database, bus: MemoryBus
) -> None:
    kinds = [FEED if number % 3 else PRIVATE for number in range(60)]
    await add(database, [event(number, kind=kind) for number, kind in enumerate(kinds)])
    relay = a_relay(bus, database)
    while await relay.turn():
        pass
    expected = [str(number) for number, kind in enumerate(kinds) if kind == FEED]
    assert await feed(database) == list(enumerate(expected, start=1))


async def test_a_row_is_marked_once_even_when_two_mark_it_at_the_same_time(database: Database) -> None:
    await add(database, [event(number) for number in range(10)])
    rows, _ = await select_unsent(database, limit=10)
    ids = [row.id for row in rows]

    async def mark() -> int:
        async with database.transaction() as tx:
            return await mark_sent(tx, ids, epoch=1, feed_types=[FEED])

    assert sum(await asyncio.gather(mark(), mark(), mark())) == 10
    assert [seq for seq, _ in await feed(database)] == list(range(1, 11))


async def test_a_commit_wakes_the_relay_of_another_process(database: Database, bus: MemoryBus) -> None:
    stop = asyncio.Event()
    slow_sweep = RelayOptions(sweep_seconds=30.0)
    running = asyncio.create_task(Relay(bus, database, options=slow_sweep).run(stop))

    async def leads() -> bool:
        async with database.connection() as connection:
            return bool(await connection.fetchval("SELECT count(*) FROM scoring.role_lease"))

    condition: Callable[[], Awaitable[bool] | bool] = leads
    await eventually(condition)
    async with database.connection() as connection:
        await connection.execute(
            "INSERT INTO scoring.outbox (event_id, topic, type, key, time, payload)"
            " VALUES ('1', $1, $2, 'k', now(), '1')",
            HANDOFFS.name,
            FEED,
        )
        await connection.execute("SELECT pg_notify('leadline_outbox_scoring', '')")
    await eventually(lambda: len(bus.appended) == 1, timeout_seconds=5)
    await add(database, [event(2)])
    await eventually(lambda: len(bus.appended) == 2, timeout_seconds=5)
    stop.set()
    await running


async def test_many_commits_make_few_notifications(database_url: str, database: Database) -> None:
    heard: list[str] = []
    listener = await asyncpg.connect(database_url)
    await listener.add_listener("leadline_outbox_scoring", lambda *_: heard.append("x"))
    async with relay_elsewhere(database):
        for number in range(50):
            await add(database, [event(number)])
        await eventually(lambda: bool(heard))
    await listener.close()
    assert len(heard) < 50


async def test_readers_of_the_feed_are_told_when_it_has_grown_and_not_of_other_events(
    database_url: str, database: Database, bus: MemoryBus
) -> None:
    heard: list[str] = []
    listener = await asyncpg.connect(database_url)
    await listener.add_listener(feed_channel("scoring"), lambda *_: heard.append("x"))
    for number, kind in enumerate((PRIVATE, FEED)):
        await add(database, [event(number, kind=kind)])
        await a_relay(bus, database).turn()
    await eventually(lambda: bool(heard))
    await listener.close()
    assert len(heard) == 1, "notifications come in order: one for the private event would have come before"


async def test_a_reader_who_waits_is_woken_by_the_relay_of_another_process(
    database: Database, bus: MemoryBus
) -> None:
    async with feed_hints(database) as hints:
        with hints.waiting() as grown:
            await asyncio.wait_for(grown.wait(), 10)  # the listener is there
            grown.clear()
            await add(database, [event(1)])
            await a_relay(bus, database).turn()
            await asyncio.wait_for(grown.wait(), 10)


async def test_what_numbers_the_feed_is_on_disk_before_readers_are_told(database: Database) -> None:
    async with database.transaction() as tx:
        await tell_readers(tx)
        assert await tx.connection.fetchval("SHOW synchronous_commit") == "on"


async def test_only_old_sent_rows_are_deleted(database: Database, bus: MemoryBus) -> None:
    await add(database, [event(1), event(2)])
    await a_relay(bus, database).turn()
    await add(database, [event(3)])
    async with database.connection() as connection:
        await connection.execute(
            "UPDATE scoring.outbox SET sent_at = sent_at - interval '8 days' WHERE event_id = '1'"
        )
    await delete_old(database, timedelta(days=7))
    async with database.connection() as connection:
        left = await connection.fetch("SELECT event_id FROM scoring.outbox ORDER BY id")
    assert [row["event_id"] for row in left] == ["2", "3"]


async def expire_lease(database: Database) -> None:
    async with database.connection() as connection:
        await connection.execute("UPDATE scoring.role_lease SET expires_at = '-infinity'")
