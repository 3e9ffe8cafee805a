"""Two parked items that name one message id: both contents reach the bus, where scoring chooses."""

import asyncio
from typing import Any

from shared.contracts.envelope import from_headers
from tests.support.eventually import eventually
from tests.support.ingest_world import IngestWorld

SOURCES = "version: 1\nsources:\n  fair:\n    email: mail\n"


async def _park_two(world: IngestWorld) -> None:
    messages = [
        {"type": "track", "userId": "u-1", "messageId": "m-1", "properties": {"n": number}}
        for number in (1, 2)
    ]
    parked = (await world.track({"batch": messages})).json()["quarantined"]
    assert len({item["id"] for item in parked}) == 2


async def _repair_all(world: IngestWorld) -> list[str]:
    items = (await world.client.get("/v1/quarantine", headers=world.admin)).json()["data"]
    answers = await asyncio.gather(
        *(
            world.client.post(
                f"/v1/quarantine/{item['id']}/repair",
                headers=world.admin,
                json={"fields": {"event": "Signed Up"}},
            )
            for item in items
        )
    )
    assert [answer.status_code for answer in answers] == [200] * len(items)
    return [answer.json()["event_id"] for answer in answers]


async def test_two_contents_under_one_message_id_both_reach_the_bus_under_one_event_id(
    world: IngestWorld,
) -> None:
    await _park_two(world)
    named = set(await _repair_all(world))
    assert len(named) == 1
    assert sorted(event.properties["n"] for event in await world.outbox()) == [1, 2]
    stop = asyncio.Event()
    relay = asyncio.create_task(world.service.roles["relay"].run(stop))

    async def both_sent() -> Any:
        return len(world.appended()) == 2

    await eventually(both_sent)
    stop.set()
    await relay
    assert {from_headers(sent.headers).id for sent in world.bus.appended} == named
    assert {event.event_id for event in world.appended()} == named
    assert await world.is_sound()
    # The row of the first may be forgotten while that of the other is not.
    await world.rows("DELETE FROM ingest.outbox WHERE event_id NOT LIKE '%#%'")
    assert await world.is_sound()


async def test_two_forms_that_name_one_message_id_both_reach_the_bus(world: IngestWorld) -> None:
    headers = {"idempotency-key": "k-1"}
    for number in (1, 2):
        await world.client.post("/v1/forms/fair", json={"mail": f"ada{number}@example.com"}, headers=headers)
        # What is held stays longer than the key under which it came.
        await world.rows("DELETE FROM ingest.submission_key")
    await world.client.put("/v1/sources", headers=world.admin, content=SOURCES)
    done = await world.client.post("/v1/quarantine/replay", headers=world.admin, json={"source": "fair"})
    assert done.json()["replayed"] == 2
    events = await world.outbox()
    assert len({event.event_id for event in events}) == 1
    assert sorted(event.person.email or "" for event in events) == ["ada1@example.com", "ada2@example.com"]
    assert await world.is_sound()
