"""What operators see: counts, ages, contradictions; what is forgotten; what the relay sends."""

import asyncio
from datetime import timedelta
from typing import Any

from services.ingest.adapters.retention import Retention
from services.ingest.adapters.views import IngestViews
from shared.db.database import Database
from shared.db.pool import create_pool
from tests.support.eventually import eventually
from tests.support.ingest_world import IngestWorld


def _views(world: IngestWorld) -> IngestViews:
    views = world.service.views
    assert isinstance(views, IngestViews)
    return views


async def test_status_counts_receipts_and_quarantine_by_reason(world: IngestWorld) -> None:
    await world.client.post("/v1/forms/website", json={"email": "ada@example.com"})
    await world.client.post("/v1/forms/website", json={"email": "ada@example.com"})
    await world.client.post("/v1/forms/website", json={"first_name": "Ada"})
    await world.track({"batch": [{"type": "page", "anonymousId": "a"}, {"type": "?"}]})
    status = await _views(world).status()
    assert status["receipts"] == {"mapped": 1, "duplicate": 1, "quarantined": 1}
    assert {code: item["held"] for code, item in status["quarantine"].items()} == {
        "no_identity": 1,
        "unknown_type": 1,
    }
    assert all(item["oldest_seconds"] >= 0 for item in status["quarantine"].values())
    assert status["activity"] == {"available": True, "appended": 1, "kept": 1}
    assert status["outbox_unsent"] == 1
    assert await _views(world).lead("ld_x") is None


async def test_reconcile_names_what_is_in_no_place_or_in_two(world: IngestWorld) -> None:
    mapped = (await world.client.post("/v1/forms/website", json={"email": "ada@example.com"})).json()
    held = (await world.client.post("/v1/forms/website", json={"first_name": "Ada"})).json()
    assert await world.is_sound()
    await world.rows("DELETE FROM ingest.outbox")
    await world.rows("UPDATE ingest.quarantine SET state = 'discarded'")
    problems = {finding.check: list(finding.problems) for finding in await _views(world).reconcile()}
    assert problems["every mapped receipt has its event"] == [mapped["submission_id"]]
    assert problems["every quarantined receipt is held"] == [held["submission_id"]]


async def test_the_relay_sends_each_mapped_receipt_once(world: IngestWorld) -> None:
    for number in range(3):
        await world.client.post("/v1/forms/website", json={"email": f"ada{number}@example.com"})
    before = await _views(world).receipt_events(None, 10)
    assert [sent for _, _, sent in before] == [False, False, False]
    stop = asyncio.Event()
    relay = asyncio.create_task(world.service.roles["relay"].run(stop))

    async def all_sent() -> Any:
        return all(sent for _, _, sent in await _views(world).receipt_events(None, 10))

    await eventually(all_sent)
    stop.set()
    await relay
    assert sorted(event.event_id for event in world.appended()) == sorted(event for _, event, _ in before)
    first = before[0][0]
    assert [key for key, _, _ in await _views(world).receipt_events(first, 1)] == [before[1][0]]


async def test_old_receipts_are_forgotten_but_never_what_is_held(world: IngestWorld) -> None:
    await world.client.post("/v1/forms/website", json={"email": "ada@example.com"})
    held = (await world.client.post("/v1/forms/website", json={"first_name": "Ada"})).json()
    await world.rows("UPDATE ingest.receipt SET settled_at = settled_at - interval '91 days'")
    await world.rows("UPDATE ingest.submission_key SET claimed_at = claimed_at - interval '91 days'")
    await world.rows("UPDATE ingest.quarantine SET parked_at = parked_at - interval '91 days'")
    pool = await create_pool(world.url, service="ingest", min_size=0, max_size=1)
    try:
        removed = await Retention(Database(pool, "ingest"), keep=timedelta(days=90)).turn()
    finally:
        await pool.close()
    assert list(removed) == [1, 0, 2]
    left = await world.rows("SELECT submission_id FROM ingest.receipt")
    assert [row["submission_id"] for row in left] == [held["submission_id"]]
    assert await world.is_sound()


async def test_a_duplicate_may_outlive_its_original_but_not_lose_one_that_is_still_kept(
    world: IngestWorld,
) -> None:
    headers = {"idempotency-key": "k-1"}
    body = {"email": "ada@example.com"}
    first = (await world.client.post("/v1/forms/website", json=body, headers=headers)).json()
    await world.rows("UPDATE ingest.receipt SET settled_at = settled_at - interval '91 days'")
    await world.rows("UPDATE ingest.submission_key SET claimed_at = claimed_at - interval '91 days'")
    late = (await world.client.post("/v1/forms/website", json=body, headers=headers)).json()
    assert late["duplicate_of"] == first["submission_id"]
    pool = await create_pool(world.url, service="ingest", min_size=0, max_size=1)
    try:
        assert (await Retention(Database(pool, "ingest"), keep=timedelta(days=90)).turn())[0] == 1
    finally:
        await pool.close()
    assert await world.is_sound()
    await world.rows("UPDATE ingest.receipt SET original_at = original_at + interval '80 days'")
    assert {finding.check: list(finding.problems) for finding in await _views(world).reconcile()}[
        "every duplicate names its original"
    ] == [late["submission_id"]]


async def test_a_page_of_a_foreign_origin_is_parked(world: IngestWorld) -> None:
    sources = "version: 1\nsources:\n  shop:\n    email: email\n    allowed_origins: [https://shop.example]\n"
    await world.client.put("/v1/sources", headers=world.admin, content=sources)
    states = []
    for number, origin in enumerate(("https://shop.example", "https://evil.example")):
        answer = await world.client.post(
            "/v1/forms/shop", json={"email": f"a{number}@b.example"}, headers={"origin": origin}
        )
        states.append((answer.status_code, answer.json()["state"], answer.json().get("code")))
    assert states == [(200, "accepted", None), (200, "quarantined", "foreign_origin")]


async def test_a_source_that_asks_for_a_key_takes_nothing_without_one(world: IngestWorld) -> None:
    sources = "version: 1\nsources:\n  crm:\n    email: email\n    require_key: true\n"
    await world.client.put("/v1/sources", headers=world.admin, content=sources)
    body = {"email": "ada@example.com"}
    assert (await world.client.post("/v1/forms/crm", json=body)).status_code == 401
    with_key = await world.client.post(f"/v1/forms/crm?key={world.write_key}", json=body)
    assert with_key.json()["state"] == "accepted"
