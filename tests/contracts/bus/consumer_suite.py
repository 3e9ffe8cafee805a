"""What the consumer loop promises on every bus: run on each adapter, positions in a real database."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import asyncpg

from shared.bus.port import Bus, Record
from shared.consumer.consumer import Consumer, ConsumerOptions
from shared.consumer.dead_letters import list_letters
from shared.consumer.outcome import Handler, Rejection, Retry
from shared.db.database import Database, Transaction
from tests.contracts.bus.harness import TOPIC, BusHarness, message
from tests.support.eventually import eventually

GROUP = "leadline-test"
QUICK = ConsumerOptions(
    max_records=20, poll_seconds=0.1, first_pause_seconds=0.01, longest_pause_seconds=0.05, stop_after=4
)


@dataclass(slots=True)
class Effects:
    """A handler whose effects are rows of `seen` with a natural key; it fails as it is told."""

    poison: set[int] = field(default_factory=set)
    bugs: set[int] = field(default_factory=set)
    away: bool = False
    hold: asyncio.Event | None = None
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    calls: int = 0
    largest: int = 0

    async def __call__(self, tx: Transaction, records: Sequence[Record]) -> Sequence[Rejection]:
        self.calls += 1
        self.largest = max(self.largest, len(records))
        if self.away:
            raise Retry("told to")
        numbers = [int(record.value) for record in records]
        await tx.connection.execute(
            "INSERT INTO scoring.seen (number) SELECT unnest($1::int[]) ON CONFLICT DO NOTHING",
            [number for number in numbers if number not in self.poison],
        )
        self.reached.set()
        if self.hold is not None:
            await self.hold.wait()
        for number in numbers:
            if number in self.bugs:
                raise ZeroDivisionError(f"person@example.com in {number}")
        return [
            Rejection(record, "poison", "told to") for record in records if int(record.value) in self.poison
        ]


async def make_seen(url: str) -> None:
    """Create the table of effects as the schema's owner."""
    connection = await asyncpg.connect(url)
    await connection.execute(
        "CREATE TABLE scoring.seen (number int PRIMARY KEY, n int GENERATED ALWAYS AS IDENTITY);"
        "GRANT ALL ON scoring.seen TO leadline_scoring"
    )
    await connection.close()


async def seen(database: Database) -> list[int]:
    """The numbers handled, in the order of handling."""
    async with database.connection() as connection:
        rows = await connection.fetch("SELECT number FROM scoring.seen ORDER BY n")
    return [row["number"] for row in rows]


def saw(database: Database, expected: set[int]) -> Callable[[], Awaitable[bool] | bool]:
    """A condition for `eventually`: exactly these numbers have been handled."""

    async def condition() -> bool:
        found = await seen(database)
        assert set(found) == expected, sorted(expected ^ set(found))
        return True

    return condition


@asynccontextmanager
async def consuming(
    bus: Bus, database: Database, handler: Handler, *, member: str = "c1", options: ConsumerOptions = QUICK
) -> AsyncIterator["asyncio.Task[None]"]:
    """Run a consumer for the block; stop it in order at the end."""
    stop = asyncio.Event()
    consumer = Consumer(
        bus, database, group=GROUP, topics=[TOPIC], handler=handler, member=member, options=options
    )
    task = asyncio.create_task(consumer.run(stop))
    try:
        yield task
    finally:
        stop.set()
        await asyncio.wait([task])
        if not task.cancelled():
            task.exception()


class ConsumerContract:
    """Effects happen once, whatever dies, repeats, lags behind or is poison."""

    async def test_every_message_takes_effect_once_and_in_order(
        self, harness: BusHarness, database: Database
    ) -> None:
        for first in range(0, 100, 20):
            await harness.bus.append([message(number) for number in range(first, first + 20)])
        async with consuming(harness.bus, database, Effects()):
            await eventually(saw(database, set(range(100))))
        found = await seen(database)
        for key in range(5):
            assert [number for number in found if number % 5 == key] == list(range(key, 100, 5))

    async def test_it_goes_on_where_it_was(self, harness: BusHarness, database: Database) -> None:
        await harness.bus.append([message(number) for number in range(10)])
        async with consuming(harness.bus, database, Effects()):
            await eventually(saw(database, set(range(10))))
        effects = Effects(poison=set(range(10)))
        await harness.bus.append([message(number) for number in range(10, 20)])
        async with consuming(harness.bus, database, effects):
            await eventually(saw(database, set(range(20))))
        assert await list_letters(database) == []

    async def test_a_crash_before_the_commit_means_handling_it_again(
        self, harness: BusHarness, database: Database
    ) -> None:
        await harness.bus.append([message(number) for number in range(10)])
        stuck = Effects(hold=asyncio.Event())
        async with consuming(harness.bus, database, stuck) as task:
            await stuck.reached.wait()
            task.cancel()
        assert await seen(database) == []
        async with consuming(harness.bus, database, Effects(), member="c2"):
            await eventually(saw(database, set(range(10))))

    async def test_a_zombie_that_wakes_late_changes_nothing(
        self, harness: BusHarness, database: Database
    ) -> None:
        await harness.bus.append([message(number) for number in range(10)])
        zombie = Effects(hold=asyncio.Event())
        async with consuming(harness.bus, database, zombie, member="zombie"):
            await zombie.reached.wait()
            # Its row locks go when the server ends the transaction of a client that says nothing for 3 s.
            await harness.crash(GROUP, "zombie")
            async with consuming(await harness.another(), database, Effects(), member="heir"):
                await eventually(saw(database, set(range(10))))
                before = await seen(database)
                assert zombie.hold is not None
                zombie.hold.set()
                await harness.bus.append([message(number) for number in range(10, 30)])
                await eventually(saw(database, set(range(30))))
        assert (await seen(database))[: len(before)] == before
        assert await handled_once(database)

    async def test_several_members_share_the_work_and_lose_nothing_when_one_dies(
        self, harness: BusHarness, database: Database
    ) -> None:
        async with consuming(harness.bus, database, Effects(), member="c1"):
            async with consuming(await harness.another(), database, Effects(), member="c2") as dying:
                await harness.bus.append([message(number) for number in range(60)])
                await eventually(saw(database, set(range(60))))
                dying.cancel()
            await harness.bus.append([message(number) for number in range(60, 120)])
            await eventually(saw(database, set(range(120))))

    async def test_poison_is_held_and_the_rest_is_handled(
        self, harness: BusHarness, database: Database
    ) -> None:
        await harness.bus.append([message(number) for number in range(30)])
        async with consuming(harness.bus, database, Effects(poison={3, 17})):
            await eventually(saw(database, set(range(30)) - {3, 17}))
        letters = await list_letters(database)
        assert {letter.code for letter in letters} == {"poison"}
        assert {letter.topic for letter in letters} == {TOPIC}
        assert await handled_once(database)

    async def test_a_bug_is_isolated_retried_and_held_without_its_text(
        self, harness: BusHarness, database: Database
    ) -> None:
        await harness.bus.append([message(number) for number in range(30)])
        async with consuming(harness.bus, database, Effects(bugs={11})):
            await eventually(saw(database, set(range(30)) - {11}))

            async def held() -> bool:
                return bool(await list_letters(database))

            condition: Callable[[], Awaitable[bool] | bool] = held
            await eventually(condition)
        letters = await list_letters(database)
        assert {letter.code for letter in letters} == {"handler_failed"}
        assert all("ZeroDivisionError" in letter.detail for letter in letters)
        assert not any("example.com" in letter.detail for letter in letters)

    async def test_a_dependency_that_is_down_is_waited_for_and_nothing_skipped(
        self, harness: BusHarness, database: Database
    ) -> None:
        effects = Effects(away=True)
        await harness.bus.append([message(number) for number in range(20)])
        async with consuming(harness.bus, database, effects):
            await eventually(lambda: effects.calls >= 3)
            assert await seen(database) == []
            effects.away = False
            await eventually(saw(database, set(range(20))))
        assert await list_letters(database) == []

    async def test_a_bus_that_was_away_is_read_on(self, harness: BusHarness, database: Database) -> None:
        effects = Effects()
        await harness.bus.append([message(number) for number in range(10)])
        async with consuming(harness.bus, database, effects) as task:
            await eventually(saw(database, set(range(10))))
            await harness.cut()
            await asyncio.sleep(0.1)
            await harness.mend()
            await harness.bus.append([message(number) for number in range(10, 20)])
            await eventually(saw(database, set(range(20))), timeout_seconds=20)
            assert not task.done()

    async def test_batches_stay_within_what_was_asked_for(
        self, harness: BusHarness, database: Database
    ) -> None:
        effects = Effects()
        await harness.bus.append([message(number) for number in range(200)])
        async with consuming(harness.bus, database, effects):
            await eventually(saw(database, set(range(200))))
        assert effects.largest <= QUICK.max_records


async def handled_once(database: Database) -> bool:
    """Whether every position moved exactly over the messages that were handled or held."""
    async with database.connection() as connection:
        rows = await connection.fetch(
            "SELECT handled, next_offset FROM scoring.consumer_position WHERE consumer_group = $1", GROUP
        )
    return all(0 <= row["handled"] <= row["next_offset"] for row in rows) and bool(rows)
