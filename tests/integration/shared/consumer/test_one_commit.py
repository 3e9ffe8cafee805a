"""Effects, position and dead letters are one commit: the connection is lost after each commit in turn."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import asyncpg
import pytest

from shared.bus.memory import MemoryBus
from shared.bus.port import Partition, Record
from shared.consumer.consumer import ConsumerOptions
from shared.consumer.dead_letters import list_letters
from shared.consumer.outcome import Rejection
from shared.db.database import Database, Transaction
from tests.contracts.bus.consumer_suite import GROUP, consuming
from tests.contracts.bus.harness import TOPIC, message
from tests.support.eventually import eventually
from tests.support.postgres import OpenService

PLACE = Partition(TOPIC, 0)
PAIRS = ConsumerOptions(
    max_records=2, poll_seconds=0.05, first_pause_seconds=0.01, longest_pause_seconds=0.01
)
POISON = 3


@dataclass(frozen=True)
class CutDatabase(Database):
    """Loses its connection right after one of its commits: nobody can know that it is durable."""

    cut_after: int = 0
    commits: list[int] = field(default_factory=list)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        async with super().transaction() as tx:
            yield tx
        self.commits.append(1)
        if len(self.commits) == self.cut_after:
            raise asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation")


async def tally(tx: Transaction, records: Sequence[Record]) -> Sequence[Rejection]:
    """A handler whose effects have no natural key: what it handles twice is there twice."""
    numbers = [int(record.value) for record in records]
    await tx.connection.execute(
        "INSERT INTO scoring.tally SELECT unnest($1::int[])", [n for n in numbers if n != POISON]
    )
    return [Rejection(record, "poison", "told to") for record in records if int(record.value) == POISON]


@pytest.mark.parametrize("cut_after", range(1, 5), ids=["claim", "first", "poison", "last"])
async def test_a_connection_lost_after_any_commit_repeats_nothing_and_loses_nothing(
    database_url: str, service_database: OpenService, cut_after: int
) -> None:
    owner = await asyncpg.connect(database_url)
    await owner.execute(
        "CREATE TABLE scoring.tally (number int); GRANT ALL ON scoring.tally TO leadline_scoring"
    )
    await owner.close()
    database = await service_database("scoring")
    bus = MemoryBus({TOPIC: 1}, repeat_every=0)
    await bus.append([message(number) for number in range(6)])
    end = (await bus.heads(TOPIC))[PLACE][1]

    async def passed() -> bool:
        async with database.connection() as connection:
            return bool(
                await connection.fetchval(
                    "SELECT next_offset = $2 FROM scoring.consumer_position WHERE consumer_group = $1",
                    GROUP,
                    end,
                )
            )

    cut = CutDatabase(database.pool, database.schema, cut_after)
    async with consuming(bus, cut, tally, options=PAIRS):
        await eventually(passed)
    async with database.connection() as connection:
        rows = await connection.fetch("SELECT number FROM scoring.tally ORDER BY number")
    assert len(cut.commits) >= cut_after, "nothing was cut"
    assert [row["number"] for row in rows] == [0, 1, 2, 4, 5], "each effect is there once"
    assert [letter.offset for letter in await list_letters(database)] == [_offset_of(bus, POISON)]


def _offset_of(bus: MemoryBus, number: int) -> int:
    return next(record.offset for record in bus.records(TOPIC) if int(record.value) == number)
