"""A discarded submission claims nothing: the same content after it is a submission of its own."""

from tests.support.ingest_world import IngestWorld

BODY = {"mail": "ada@example.com"}
SOURCES = "version: 1\nsources:\n  fair:\n    email: mail\n"


async def _discard(world: IngestWorld, headers: dict[str, str]) -> None:
    parked = (await world.client.post("/v1/forms/fair", json=BODY, headers=headers)).json()
    again = (await world.client.post("/v1/forms/fair", json=BODY, headers=headers)).json()
    assert again["duplicate_of"] == parked["submission_id"]
    path = f"/v1/quarantine/{parked['quarantine_id']}/discard"
    assert (await world.client.post(path, headers=world.admin)).status_code == 200


async def test_the_same_content_after_a_discarded_one_is_accepted(world: IngestWorld) -> None:
    for headers in ({}, {"idempotency-key": "k-1"}):
        await _discard(world, headers)
    await world.client.put("/v1/sources", headers=world.admin, content=SOURCES)
    for headers in ({}, {"idempotency-key": "k-1"}):
        states = [
            (await world.client.post("/v1/forms/fair", json=BODY, headers=headers)).json()["state"]
            for _ in range(2)
        ]
        assert states == ["accepted", "duplicate"]
    assert len(await world.outbox()) == 2
    assert await world.is_sound()
