"""What cannot be mapped: parked, listed, repaired, replayed, discarded; never refused, never lost."""

import asyncio
from typing import Any

import asyncpg
import pytest

from tests.support.held_up import is_held_up
from tests.support.ingest_world import IngestWorld


async def _park_form(world: IngestWorld, body: dict[str, Any], source: str = "website") -> dict[str, Any]:
    answer = await world.client.post(f"/v1/forms/{source}", json=body)
    assert answer.status_code == 200
    parked: dict[str, Any] = answer.json()
    assert parked["state"] == "quarantined"
    return parked


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b'{"first_name": "Ada"}', "no_identity"),
        (b'{"email": "ada@", "first_name": "Ada"}', "invalid_email"),
        (b'{"email": "ada@example.com", "website_confirm": "buy now"}', "honeypot"),
        (b"just some text", "malformed"),
        (b"", "malformed"),
        (b"[1, 2", "malformed"),
        (b"[" * 100_000, "malformed"),
        (b'{"email": "ada@example.com", "x": ' + b"[" * 60 + b"]" * 60 + b"}", "too_deep"),
    ],
)
async def test_what_cannot_be_mapped_is_parked_with_its_reason(
    world: IngestWorld, content: bytes, code: str
) -> None:
    answer = await world.client.post("/v1/forms/website", content=content)
    assert answer.status_code == 200
    assert (answer.json()["state"], answer.json()["code"]) == ("quarantined", code)
    listed = (await world.client.get("/v1/quarantine", headers=world.admin)).json()["data"]
    assert [item["code"] for item in listed] == [code]
    assert await world.outbox() == []
    assert await world.is_sound()


@pytest.mark.parametrize(
    "content",
    [
        b'{"email": "ada@example.com", "message": "\\u0000 and \\ud83d"}',
        b'{"email": "ada@example.com", "n": NaN, "m": -Infinity}',
        b'{"email": "ada@example.com", "n": ' + b"9" * 5000 + b"}",
        b"email=ada%40example.com&message=%00%ff",
    ],
)
async def test_poison_in_a_good_submission_is_made_harmless(world: IngestWorld, content: bytes) -> None:
    answer = await world.client.post("/v1/forms/website", content=content)
    assert (answer.status_code, answer.json()["state"]) == (200, "accepted")
    [event] = await world.outbox()
    assert event.person.email == "ada@example.com"
    assert "\x00" not in str(event.properties)


async def test_a_repaired_submission_becomes_its_event_with_the_times_of_then(world: IngestWorld) -> None:
    parked = await _park_form(world, {"Email": "ada@exam ple.com", "first_name": "Ada"})
    path = f"/v1/quarantine/{parked['quarantine_id']}"
    shown = (await world.client.get(path, headers=world.admin)).json()
    assert shown["code"] == "invalid_email"
    wrong = await world.client.post(f"{path}/repair", headers=world.admin, json={"fields": {"email": "x"}})
    assert (wrong.status_code, wrong.json()["code"]) == (422, "invalid_email")
    good = await world.client.post(
        f"{path}/repair", headers=world.admin, json={"fields": {"email": "ada@example.com"}}
    )
    assert good.status_code == 200, good.text
    [event] = await world.outbox()
    assert event.event_id == good.json()["event_id"]
    assert event.person.email == "ada@example.com"
    receipt = (await world.client.get(f"/v1/receipts/{parked['submission_id']}", headers=world.admin)).json()
    assert (receipt["state"], receipt["event_id"]) == ("mapped", event.event_id)
    assert receipt["received_at"] == event.received_at.isoformat().replace("+00:00", "Z")
    again = await world.client.post(f"{path}/replay", headers=world.admin)
    assert (again.status_code, again.json()["state"]) == (409, "replayed")
    assert len(await world.outbox()) == 1
    assert await world.is_sound()


async def test_a_slip_in_the_name_of_a_field_is_named_and_changes_nothing(world: IngestWorld) -> None:
    parked = await _park_form(world, {"email": "ada@", "first_name": "Ada"})
    path = f"/v1/quarantine/{parked['quarantine_id']}"
    slip = await world.client.post(
        f"{path}/repair", headers=world.admin, json={"fields": {"emal": "ada@example.com"}}
    )
    assert (slip.status_code, slip.json()["code"]) == (422, "unknown_field")
    assert "did you mean `email`?" in slip.json()["errors"][0]["detail"]
    before = (await world.client.get(path, headers=world.admin)).json()
    assert (before["state"], before["code"], before["attempts"]) == ("held", "invalid_email", 0)
    mended = await world.client.post(
        f"{path}/repair", headers=world.admin, json={"fields": {"Email": "ada@example.com"}}
    )
    assert mended.status_code == 200, mended.text


async def test_an_unknown_source_is_parked_and_replayed_once_it_is_configured(world: IngestWorld) -> None:
    for number in range(5):
        await _park_form(world, {"work_mail": f"ada{number}@example.com"}, source="fair-2026")
    sources = "version: 1\nsources:\n  fair-2026:\n    email: [work_mail]\n"
    pushed = await world.client.put("/v1/sources", headers=world.admin, content=sources)
    assert pushed.status_code == 200, pushed.text
    done = await world.client.post(
        "/v1/quarantine/replay", headers=world.admin, json={"reason": "unknown_source", "limit": 3}
    )
    assert (done.json()["replayed"], done.json()["still_held"]) == (3, 0)
    rest = await world.client.post("/v1/quarantine/replay", headers=world.admin, json={"source": "fair-2026"})
    assert rest.json() == {"replayed": 2, "still_held": 0, "next": None}
    assert {event.source for event in await world.outbox()} == {"fair-2026"}
    assert await world.is_sound()


async def test_replaying_at_the_same_time_publishes_once(world: IngestWorld) -> None:
    await _park_form(world, {"mail": "ada@example.com"}, source="fair")
    await world.client.put(
        "/v1/sources", headers=world.admin, content="version: 1\nsources:\n  fair:\n    email: mail\n"
    )
    [item] = (await world.client.get("/v1/quarantine", headers=world.admin)).json()["data"]
    answers = await asyncio.gather(
        *(world.client.post(f"/v1/quarantine/{item['id']}/replay", headers=world.admin) for _ in range(5))
    )
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409, 409]
    assert len(await world.outbox()) == 1


async def test_a_replay_waits_for_whoever_acts_on_the_item(world: IngestWorld) -> None:
    await _park_form(world, {"mail": "ada@example.com"}, source="fair")
    await world.client.put(
        "/v1/sources", headers=world.admin, content="version: 1\nsources:\n  fair:\n    email: mail\n"
    )
    [item] = (await world.client.get("/v1/quarantine", headers=world.admin)).json()["data"]
    other = await asyncpg.connect(world.url)
    async with other.transaction():
        await other.execute("UPDATE ingest.quarantine SET state = 'discarded' WHERE id = $1", item["id"])
        replay = asyncio.create_task(
            world.client.post(f"/v1/quarantine/{item['id']}/replay", headers=world.admin)
        )
        assert await is_held_up(replay, other)
    await other.close()
    assert ((await replay).status_code, await world.outbox()) == (409, [])


async def test_a_discarded_item_is_gone_from_the_list_but_not_from_the_record(world: IngestWorld) -> None:
    parked = await _park_form(world, {"first_name": "Ada"})
    path = f"/v1/quarantine/{parked['quarantine_id']}"
    assert (await world.client.post(f"{path}/discard", headers=world.admin)).status_code == 200
    assert (await world.client.get("/v1/quarantine", headers=world.admin)).json()["data"] == []
    discarded = await world.client.get("/v1/quarantine?state=discarded", headers=world.admin)
    assert [item["changed_by"] for item in discarded.json()["data"]] == ["ada"]
    receipt = (await world.client.get(f"/v1/receipts/{parked['submission_id']}", headers=world.admin)).json()
    assert receipt["state"] == "discarded"
    assert await world.is_sound()


async def test_pages_of_the_list_follow_each_other_without_gap(world: IngestWorld) -> None:
    for number in range(5):
        await _park_form(world, {"first_name": f"Ada {number}"})
    seen: list[str] = []
    cursor = ""
    while True:
        suffix = f"&cursor={cursor}" if cursor else ""
        page = (await world.client.get(f"/v1/quarantine?limit=2{suffix}", headers=world.admin)).json()
        seen += [item["id"] for item in page["data"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert len(seen) == len(set(seen)) == 5


async def test_only_an_admin_may_act_and_only_a_reader_may_look(world: IngestWorld) -> None:
    parked = await _park_form(world, {"first_name": "Ada"})
    path = f"/v1/quarantine/{parked['quarantine_id']}"
    reader = {"authorization": f"Bearer {world.read_key}"}
    writer = {"authorization": f"Bearer {world.write_key}"}
    assert (await world.client.get(path, headers=reader)).status_code == 200
    assert (await world.client.get(path, headers=writer)).status_code == 403
    assert (await world.client.get(path)).status_code == 401
    assert (await world.client.post(f"{path}/discard", headers=reader)).status_code == 403
    assert (await world.client.get("/v1/quarantine/q_none", headers=reader)).status_code == 404


async def test_a_sources_file_with_faults_is_refused_with_line_and_fix(world: IngestWorld) -> None:
    faulty = "version: 1\nsources:\n  shop:\n    email: [email]\n    thank_you: /thanks\n"
    answer = await world.client.put("/v1/sources", headers=world.admin, content=faulty)
    assert answer.status_code == 422
    [error] = answer.json()["errors"]
    assert error["line"] == 5
    assert "thank_you_url" in error["fix"]
    active = await world.client.get("/v1/sources", headers=world.admin)
    assert "website:" in active.text


async def test_a_parked_tracking_message_is_repaired_with_its_own_ids(world: IngestWorld) -> None:
    body = {"batch": [{"type": "track", "anonymousId": "a-1", "messageId": "m-1"}]}
    parked = (await world.track(body)).json()["quarantined"]
    assert [item["code"] for item in parked] == ["missing_event"]
    answer = await world.client.post(
        f"/v1/quarantine/{parked[0]['id']}/repair",
        headers=world.admin,
        json={"fields": {"event": "Signed Up"}},
    )
    assert answer.status_code == 200, answer.text
    [event] = await world.outbox()
    assert (event.name, event.message_id, event.source) == ("Signed Up", "m-1", "shop")
