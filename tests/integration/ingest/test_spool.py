"""With a spool the doors take everything in while bus or database are away, and all of it arrives once."""

import asyncio
import errno
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest
import pytest_asyncio

from shared.spool.drain import waiting
from tests.support.eventually import eventually
from tests.support.ingest_world import IngestWorld, ingest_world, restarted

FORM = "/v1/forms/website"
PAGE = {"type": "page", "anonymousId": "visitor", "messageId": "m-1", "name": "Pricing"}
NOBODYS = {"type": "page", "messageId": "nobody"}


async def warmed(world: IngestWorld) -> IngestWorld:
    """Let it see key and sources: what it never saw is nothing to trust while the database is away."""
    assert (await world.track({"batch": []})).status_code == 200
    assert (await world.client.post(FORM, json={"email": "first@example.com"})).status_code == 200
    return world


@pytest_asyncio.fixture
async def world(database_url: str, tmp_path: Path) -> AsyncIterator[IngestWorld]:
    async with ingest_world(database_url, tmp_path, spool=True) as opened:
        yield await warmed(opened)


@asynccontextmanager
async def database_away(world: IngestWorld, server: str) -> AsyncIterator[None]:
    """Let nobody onto the database of the test, and end the sessions there are."""
    name = urlsplit(world.url).path.removeprefix("/")
    outside = await asyncpg.connect(server)
    try:
        await outside.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        await outside.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name
        )
        yield
    finally:
        await outside.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
        await outside.close()


def spooled(folder: Path, place: str) -> int:
    return waiting(folder / "spool" / place).bytes


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def receipts(world: IngestWorld) -> dict[str, dict[str, Any]]:
    return {row["submission_id"]: row for row in await world.rows("SELECT * FROM ingest.receipt")}


async def test_tracking_is_taken_in_while_the_bus_is_away_and_arrives_once(
    world: IngestWorld, tmp_path: Path
) -> None:
    world.bus.available = False
    answers = [await world.track({"batch": [{**PAGE, "messageId": f"m-{n}"}]}) for n in range(20)]
    assert [answer.status_code for answer in answers] == [200] * 20
    assert answers[0].json() == {"success": True, "accepted": 1, "quarantined": []}
    assert spooled(tmp_path, "activity") > 0
    world.bus.available = True
    await eventually(lambda: len(world.appended()) == 20, what="all that was spooled")
    assert {event.message_id for event in world.appended()} == {f"m-{n}" for n in range(20)}
    await eventually(lambda: spooled(tmp_path, "activity") == 0, what="an empty spool")
    # Straight on again, without the disk.
    assert (await world.track({"batch": [{**PAGE, "messageId": "after"}]})).status_code == 200
    assert len(world.appended()) == 21


async def test_forms_are_taken_in_while_the_database_is_away_and_settled_afterwards(
    world: IngestWorld, tmp_path: Path, postgres_server: str
) -> None:
    form = {"email": "Ada@Example.com", "first_name": "Ada"}
    once = {"idempotency-key": "k-1"}
    async with database_away(world, postgres_server):
        first = await world.client.post(FORM, json=form, headers=once)
        again = await world.client.post(FORM, json=form, headers=once)
        broken = await world.client.post(FORM, content=b"{not a form")
        page = await world.client.post(FORM, data=form, headers={"sec-fetch-mode": "navigate"})
        held = await world.track({"batch": [PAGE, NOBODYS]})
        assert [one.status_code for one in (first, again, broken, held)] == [200] * 4
        assert page.status_code == 303
        assert {one.json()["state"] for one in (first, again, broken)} == {"spooled"}
        assert [one["code"] for one in held.json()["quarantined"]] == ["no_identity"]
        assert spooled(tmp_path, "intake") > 0

    async def all_arrived() -> bool:
        parked = await world.rows("SELECT id FROM ingest.quarantine WHERE door = 'tracking'")
        return len(await receipts(world)) == 5 and len(parked) == 1

    await eventually(all_arrived, timeout_seconds=20, what="each submission and item")
    rows = await receipts(world)
    states = [rows[one.json()["submission_id"]]["state"] for one in (first, again, broken)]
    assert states == ["mapped", "duplicate", "quarantined"]
    assert [event.person.email for event in await world.outbox()].count("ada@example.com") == 2
    assert await world.is_sound()
    assert (await world.client.post(FORM, json={"email": "x@example.com"})).json()["state"] == "accepted"


async def test_ingest_that_starts_while_its_database_is_away_takes_in_at_once(
    database_url: str, tmp_path: Path, postgres_server: str
) -> None:
    async with ingest_world(database_url, tmp_path, spool=True) as opened:
        world = await warmed(opened)
    async with database_away(world, postgres_server), restarted(world, tmp_path, spool=True) as again:
        assert (await again.track({"batch": [PAGE]})).json()["accepted"] == 1
        form = await again.client.post(FORM, json={"email": "ada@example.com"})
        assert form.json()["state"] == "spooled"
        unknown = await again.client.post(
            "/v1/track", json=PAGE, headers={"authorization": "Bearer ll_nobody"}
        )
        assert unknown.status_code in (401, 503)
    assert [event.message_id for event in world.appended()] == [PAGE["messageId"]]
    async with restarted(world, tmp_path, spool=True):

        async def settled() -> bool:
            return form.json()["submission_id"] in await receipts(world)

        await eventually(settled, timeout_seconds=20, what="the receipt")


async def test_without_a_spool_or_an_earlier_start_nothing_opens_before_the_database(
    database_url: str, tmp_path: Path, postgres_server: str
) -> None:
    async with ingest_world(database_url, tmp_path, spool=True) as opened:
        world = await warmed(opened)
    async with database_away(world, postgres_server):
        for folder, spool in ((tmp_path, False), (tmp_path / "new", True)):
            with pytest.raises(asyncpg.PostgresError):
                async with restarted(world, folder, spool=spool):
                    pass


async def test_a_form_was_received_when_it_came_and_not_when_it_was_settled(
    world: IngestWorld, postgres_server: str
) -> None:
    async with database_away(world, postgres_server):
        answer = await world.client.post(FORM, json={"email": "ada@example.com"})
        outside = await asyncpg.connect(postgres_server)
        later = await outside.fetchval("SELECT clock_timestamp()")
        await outside.close()
    name = answer.json()["submission_id"]

    async def settled() -> bool:
        return name in await receipts(world)

    await eventually(settled, timeout_seconds=20, what="the receipt")
    receipt = (await receipts(world))[name]
    assert receipt["received_at"] <= later < receipt["settled_at"]


async def test_a_full_disk_is_a_503_and_leaves_nothing_half_written(
    world: IngestWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.bus.available = False
    assert (await world.track({"batch": [PAGE]})).status_code == 200
    before = spooled(tmp_path, "activity")
    write = os.write

    def full(descriptor: int, data: bytes) -> int:
        write(descriptor, data[:7])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        refused = await world.track({"batch": [{**PAGE, "messageId": "m-2"}]})
    assert refused.status_code == 503
    assert refused.headers["retry-after"]
    assert spooled(tmp_path, "activity") == before
    assert (await world.track({"batch": [{**PAGE, "messageId": "m-3"}]})).status_code == 200
    world.bus.available = True
    await eventually(lambda: len(world.appended()) == 2, what="what was accepted")
    assert {event.message_id for event in world.appended()} == {"m-1", "m-3"}


async def test_any_process_drains_what_one_that_is_gone_has_left(
    world: IngestWorld, database_url: str, tmp_path: Path
) -> None:
    async with ingest_world(database_url, tmp_path / "other", spool=True) as other:
        other.bus.available = False
        assert (await other.track({"batch": [PAGE]})).status_code == 200
    (left,) = names(tmp_path / "other" / "spool" / "activity")
    shutil.move(tmp_path / "other" / "spool" / "activity" / left, tmp_path / "spool" / "activity" / left)
    await eventually(lambda: len(world.appended()) == 1, what="what the other one has left")


async def test_the_spool_is_seen_in_status_and_metrics(world: IngestWorld) -> None:
    world.bus.available = False
    await world.track({"batch": [PAGE]})
    status = await world.service.views.status()
    assert status["spool"]["activity"]["bytes"] > 0
    assert status["spool"]["intake"] == {"bytes": 0, "oldest_seconds": 0.0, "held_bytes": 0, "torn_bytes": 0}

    async def shown() -> bool:
        lines = (await world.client.get("/metrics")).text.splitlines()
        named = [line for line in lines if line.startswith('leadline_spooled_bytes{place="activity"')]
        return [float(line.split()[-1]) > 0 for line in named] == [True]

    await eventually(shown, what="the gauge of its bytes")


async def test_ingest_is_ready_as_long_as_it_can_take_in(world: IngestWorld, postgres_server: str) -> None:
    async with database_away(world, postgres_server):
        assert (await world.client.get("/readyz")).status_code == 200


async def test_without_a_spool_the_answer_is_503(
    database_url: str, tmp_path: Path, postgres_server: str
) -> None:
    async with ingest_world(database_url, tmp_path) as world:
        await warmed(world)
        world.bus.available = False
        assert (await world.track({"batch": [PAGE]})).status_code == 503
        async with database_away(world, postgres_server):
            assert (await world.client.post(FORM, json={"email": "a@example.com"})).status_code == 503
            assert (await world.client.get("/readyz")).status_code == 503
        assert (await world.service.views.status())["spool"] == "off"
    assert "spool" not in names(tmp_path)


async def test_many_at_once_are_all_kept(world: IngestWorld) -> None:
    world.bus.available = False
    batches = [{"batch": [{**PAGE, "messageId": f"{n}-{m}"} for m in range(20)]} for n in range(50)]
    answers = await asyncio.gather(*map(world.track, batches))
    assert {answer.status_code for answer in answers} == {200}
    world.bus.available = True
    await eventually(lambda: len(world.appended()) == 1000, timeout_seconds=20, what="all that was spooled")
