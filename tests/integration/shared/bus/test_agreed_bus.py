"""Messages go to one log for as long as an installation lives, whatever the settings of a process say."""

import pytest

from shared.bus.agreed import AgreedBus
from shared.bus.memory import MemoryBus
from shared.bus.port import Bus, BusUnavailable
from shared.db.database import Database
from tests.contracts.bus.harness import TOPIC, message
from tests.support.postgres import OpenService


@pytest.fixture
async def database(service_database: OpenService) -> Database:
    return await service_database("ingest")


async def count(bus: Bus) -> int:
    return sum(end for _, end in (await bus.heads(TOPIC)).values())


async def test_the_first_append_decides_which_log_it_is(database: Database) -> None:
    one, other = MemoryBus(cluster="one"), MemoryBus(cluster="other")
    await AgreedBus(one, database).append([message(1)])
    with pytest.raises(BusUnavailable, match="the installation uses the log of cluster"):
        await AgreedBus(other, database).append([message(2)])
    await AgreedBus(one, database).append([message(3)])
    assert (await count(one), await count(other)) == (2, 0)


async def test_a_process_is_refused_for_as_long_as_its_log_is_another_one(database: Database) -> None:
    await AgreedBus(MemoryBus(cluster="right"), database).append([message(1)])
    wrong = AgreedBus(MemoryBus(cluster="wrong"), database)
    for _ in range(2):
        with pytest.raises(BusUnavailable):
            await wrong.append([message(2)])


async def test_without_the_database_nothing_is_sent_before_it_is_known_where(database: Database) -> None:
    bus = MemoryBus()
    database.pool.terminate()
    with pytest.raises(BusUnavailable, match="the database does not tell"):
        await AgreedBus(bus, database).append([message(1)])
    assert await count(bus) == 0
