"""Dead letters: held with their origin, replayed as they were or mended, discarded on somebody's word."""

import pytest
import pytest_asyncio

from shared.bus.memory import MemoryBus
from shared.bus.port import BusUnavailable, Partition, Record
from shared.consumer.dead_letters import (
    LetterNotHeld,
    discard,
    get_letter,
    held_summary,
    hold,
    list_letters,
    replay,
)
from shared.consumer.outcome import Rejection
from shared.contracts.topics import ACTIVITY
from shared.db.database import Database
from tests.contracts.bus.harness import NOW
from tests.support.postgres import OpenService

TOPIC = ACTIVITY.name
HEADERS = (("ce_id", b"\xff"),)


@pytest_asyncio.fixture
async def database(service_database: OpenService) -> Database:
    return await service_database("scoring")


def rejection(offset: int, *, detail: str = "why") -> Rejection:
    record = Record(Partition(TOPIC, 0), offset, "k\x00ey", HEADERS, b"\x00not json", NOW)
    return Rejection(record, "malformed", detail)


async def held(database: Database, *offsets: int, topic_id: str = "t1") -> None:
    async with database.transaction() as tx:
        await hold(tx, "g", {TOPIC: topic_id}, [rejection(offset) for offset in offsets])


async def test_a_letter_keeps_the_bytes_and_the_origin(database: Database) -> None:
    await held(database, 4)
    (listed,) = await list_letters(database)
    letter = await get_letter(database, listed.id)
    assert letter is not None
    assert (letter.topic, letter.partition, letter.offset) == (TOPIC, 0, 4)
    assert (letter.key, letter.headers, letter.value) == ("k\x00ey", HEADERS, b"\x00not json")
    assert (letter.code, letter.status, listed.value, listed.size) == ("malformed", "held", None, 9)


async def test_a_reason_that_postgres_cannot_store_does_not_stop_the_holding(database: Database) -> None:
    async with database.transaction() as tx:
        await hold(tx, "g", {TOPIC: "t1"}, [rejection(1, detail="a\x00b\ud800c" + "x" * 5000)])
    (letter,) = await list_letters(database)
    assert letter.detail.startswith("a\\0b?c")


async def test_the_same_offset_of_a_topic_made_anew_is_another_letter(database: Database) -> None:
    await held(database, 1)
    await held(database, 1)
    await held(database, 1, topic_id="t2")
    assert len(await list_letters(database)) == 2


async def test_a_replay_appends_the_message_as_it_was(database: Database) -> None:
    bus = MemoryBus(repeat_every=0)
    await held(database, 1)
    (letter,) = await list_letters(database)
    replayed = await replay(database, bus, letter.id, by="key-1")
    (sent,) = bus.appended
    assert (sent.topic, sent.key, sent.headers, sent.value) == (TOPIC, "k\x00ey", HEADERS, b"\x00not json")
    assert (replayed.status, replayed.replays, replayed.changed_by) == ("replayed", 1, "key-1")
    assert await list_letters(database) == []


async def test_a_mended_replay_sends_the_new_value_and_keeps_the_old(database: Database) -> None:
    bus = MemoryBus(repeat_every=0)
    await held(database, 1)
    (letter,) = await list_letters(database)
    await replay(database, bus, letter.id, by="key-1", value=b"{}")
    kept = await get_letter(database, letter.id)
    assert bus.appended[0].value == b"{}"
    assert kept is not None
    assert kept.value == b"\x00not json"


async def test_a_replay_without_a_bus_leaves_the_letter_held(database: Database) -> None:
    bus = MemoryBus()
    bus.available = False
    await held(database, 1)
    (letter,) = await list_letters(database)
    with pytest.raises(BusUnavailable):
        await replay(database, bus, letter.id, by="key-1")
    assert (await held_summary(database))[0] == 1


async def test_what_was_given_up_is_not_replayed(database: Database) -> None:
    await held(database, 1)
    (letter,) = await list_letters(database)
    assert (await discard(database, letter.id, by="key-1")).status == "discarded"
    with pytest.raises(LetterNotHeld):
        await replay(database, MemoryBus(), letter.id, by="key-1")
    with pytest.raises(LetterNotHeld):
        await discard(database, 999, by="key-1")
    assert await held_summary(database) == (0, None)


async def test_letters_are_paged_by_id(database: Database) -> None:
    await held(database, *range(5))
    first = await list_letters(database, limit=2)
    rest = await list_letters(database, after=first[-1].id)
    assert [letter.offset for letter in (*first, *rest)] == [0, 1, 2, 3, 4]
