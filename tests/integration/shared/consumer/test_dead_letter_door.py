"""Dead letters over HTTP: scopes, pages, mending, and letting a stopped consumer go on."""

from collections.abc import AsyncIterator

import httpx2
import pytest_asyncio
from fastapi import FastAPI

from leadline.letters import Holder, router
from shared.bus.memory import MemoryBus
from shared.bus.port import LogIdentity, Partition, Record
from shared.consumer.dead_letters import hold
from shared.consumer.outcome import Rejection
from shared.consumer.positions import claim
from shared.contracts.topics import ACTIVITY, consumer_group
from shared.db.database import Database
from shared.web.auth import ApiKey
from shared.web.problem import install_handlers
from tests.contracts.bus.harness import NOW
from tests.support.postgres import OpenService

PLACE = Partition(ACTIVITY.name, 0)


@pytest_asyncio.fixture
async def database(service_database: OpenService) -> Database:
    return await service_database("scoring")


@pytest_asyncio.fixture
async def bus() -> MemoryBus:
    return MemoryBus(repeat_every=0)


@pytest_asyncio.fixture
async def client(database: Database, bus: MemoryBus) -> AsyncIterator[httpx2.AsyncClient]:
    async def authenticate(token: str) -> ApiKey:
        return ApiKey("key-1", frozenset({"admin"}) if token == "admin" else frozenset({"read"}))

    app = FastAPI()
    app.state.authenticate = authenticate
    install_handlers(app)
    holder = Holder(database, bus)
    app.include_router(router({"ingest": holder, "scoring": holder, "routing": holder}))
    transport = httpx2.ASGITransport(app=app)
    headers = {"authorization": "Bearer admin"}
    async with httpx2.AsyncClient(transport=transport, base_url="http://test", headers=headers) as opened:
        yield opened


@pytest_asyncio.fixture
async def letter_id(database: Database, client: httpx2.AsyncClient) -> int:
    record = Record(PLACE, 7, "k", (("ce_id", b"1"),), b'{"email": "jane@example.com"}', NOW)
    async with database.transaction() as tx:
        await hold(tx, "g", {ACTIVITY.name: "t"}, [Rejection(record, "malformed", "why")])
    (listed,) = (await client.get("/v1/deadletters?service=scoring")).json()["data"]
    return int(listed["id"])


async def test_a_list_shows_no_personal_data_and_a_reader_sees_no_body(
    client: httpx2.AsyncClient, letter_id: int
) -> None:
    reader = {"authorization": "Bearer read"}
    listed = await client.get("/v1/deadletters?service=scoring", headers=reader)
    assert "jane" not in listed.text
    path = f"/v1/deadletters/scoring/{letter_id}"
    assert (await client.get(path, headers=reader)).status_code == 403
    assert (await client.get(path)).json()["value"] == {"email": "jane@example.com"}


async def test_a_mended_letter_is_sent_again(
    client: httpx2.AsyncClient, bus: MemoryBus, letter_id: int
) -> None:
    path = f"/v1/deadletters/scoring/{letter_id}/replay"
    answer = await client.post(path, json={"value": {"email": "mended"}})
    assert (answer.status_code, answer.json()["status"]) == (200, "replayed")
    assert bus.appended[0].value == b'{"email": "mended"}'


async def test_a_stopped_consumer_is_let_go_on(client: httpx2.AsyncClient, database: Database) -> None:
    log = LogIdentity("c", {ACTIVITY.name: "t"})
    async with database.transaction() as tx:
        await claim(tx, consumer_group("scoring"), {PLACE: 0}, log)
        await tx.connection.execute("UPDATE scoring.consumer_position SET failed_in_a_row = 9")
    answer = await client.post("/v1/deadletters/scoring/resume")
    assert answer.json() == {"service": "scoring", "partitions": 1}
    async with database.connection() as connection:
        left = await connection.fetchval("SELECT max(failed_in_a_row) FROM scoring.consumer_position")
    assert left == 0
