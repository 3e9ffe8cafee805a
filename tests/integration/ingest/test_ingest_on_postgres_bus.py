"""Ingest on the bus that ships: tracking and forms reach the activity topic of the same database."""

import asyncio
from pathlib import Path
from typing import Any

from httpx2 import ASGITransport, AsyncClient

from services.ingest.bootstrap import wire
from services.ingest.settings import IngestSettings
from tests.support.eventually import eventually
from tests.support.ingest_world import ingest_world


async def test_what_was_accepted_lies_in_the_log_after_a_restart(database_url: str, tmp_path: Path) -> None:
    settings = IngestSettings.model_validate({"database_url": database_url, "data_dir": tmp_path})
    async with wire(settings) as service:
        # The doors append to the bus that the settings name; keys come from the world's set-up.
        async with ingest_world(database_url, tmp_path) as world:
            key = world.write_key
        async with AsyncClient(transport=ASGITransport(app=service.api), base_url="http://t") as client:
            batch = [
                {"type": "track", "event": "x", "anonymousId": f"a-{number}", "messageId": f"m-{number}"}
                for number in range(50)
            ]
            answers = await asyncio.gather(
                *(
                    client.post("/v1/batch", json={"batch": batch[i::5]}, headers={"x-write-key": key})
                    for i in range(5)
                )
            )
            assert [answer.json()["accepted"] for answer in answers] == [10] * 5
            await client.post("/v1/forms/website", json={"email": "ada@example.com"})
        stop = asyncio.Event()
        relay = asyncio.create_task(service.roles["relay"].run(stop))
        await eventually(lambda: _appended(settings, 51))
        stop.set()
        await relay


async def _appended(settings: IngestSettings, wanted: int) -> Any:
    async with wire(settings) as again:
        status = await again.views.status()
    assert status["activity"]["appended"] == wanted, status
    return status["outbox_unsent"] == 0
