"""What would make too large a message: cut where it is one answer, parked and repairable where it is many."""

from services.ingest.usecases.announce_activity import MAX_MESSAGE_BYTES
from tests.support.ingest_world import IngestWorld

MANY = {f"answer_{number}": "x" * 7000 for number in range(50)}


async def test_a_form_with_very_many_long_answers_is_parked_and_repaired(world: IngestWorld) -> None:
    body = {"email": "ada@example.com", **MANY}
    parked = (await world.client.post("/v1/forms/website", json=body)).json()
    assert (parked["state"], parked["code"]) == ("quarantined", "too_large")
    assert await world.outbox() == []
    path = f"/v1/quarantine/{parked['quarantine_id']}"
    shown = (await world.client.get(path, headers=world.admin)).json()
    receipt = (await world.client.get(f"/v1/receipts/{parked['submission_id']}", headers=world.admin)).json()
    assert shown["body"] == receipt["raw"]
    assert all(name in receipt["raw"] for name in MANY)
    as_it_is = await world.client.post(f"{path}/replay", headers=world.admin)
    assert (as_it_is.status_code, as_it_is.json()["code"]) == (422, "too_large")
    fields = dict.fromkeys(list(MANY)[:20])
    repaired = await world.client.post(f"{path}/repair", headers=world.admin, json={"fields": fields})
    assert repaired.status_code == 200, repaired.text
    [row] = await world.rows("SELECT octet_length(payload) AS size FROM ingest.outbox")
    assert row["size"] <= MAX_MESSAGE_BYTES
    assert await world.is_sound()


async def test_one_answer_that_is_far_too_long_does_not_hold_the_lead_up(world: IngestWorld) -> None:
    body = {"email": "ada@example.com", "photo": ["data:image/png;base64," + "A" * 900_000]}
    answer = (await world.client.post("/v1/forms/website", json=body)).json()
    assert answer["state"] == "accepted"
    [event] = await world.outbox()
    assert len(event.properties["photo"][0]) == 8000


async def test_a_tracking_message_that_a_repair_makes_too_large_stays_parked(world: IngestWorld) -> None:
    [parked] = (await world.track({"batch": [{"type": "track", "userId": "u-1"}]})).json()["quarantined"]
    fields = {"event": "Signed Up", "properties": {"text": "x" * MAX_MESSAGE_BYTES}}
    answer = await world.client.post(
        f"/v1/quarantine/{parked['id']}/repair", headers=world.admin, json={"fields": fields}
    )
    assert (answer.status_code, answer.json()["code"]) == (422, "too_large")
    assert await world.outbox() == []
