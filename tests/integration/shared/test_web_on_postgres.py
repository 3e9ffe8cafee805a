"""The web edge on a real database: keys, idempotency keys, and answers only after the commit."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import asyncpg
import httpx2
import pytest
from fastapi import Depends, FastAPI, Request
from starlette.responses import Response

from shared.db.database import Database, Transaction
from shared.web.app import create_app, dispatch
from shared.web.auth import ApiKey, require
from shared.web.idempotency import Answer, read_ticket, run_once
from shared.web.key_cache import KeyCache, PostgresKeys
from shared.web.keys import create_key, list_keys, revoke_key
from tests.support.eventually import eventually
from tests.support.postgres import OpenService

WORK = ApiKey("key_test", frozenset({"work"}))


def application(database: Database) -> FastAPI:
    async def authenticate(_token: str) -> ApiKey:
        return WORK

    app = create_app("Test", authenticate=authenticate)

    @app.post("/v1/notes")
    async def note(request: Request, key: Annotated[ApiKey, Depends(require("work"))]) -> Response:
        ticket = await read_ticket(request, key)
        text = (await request.json())["text"]

        async def work(tx: Transaction) -> Answer:
            number = await tx.connection.fetchval(
                "INSERT INTO routing.note (text) VALUES ($1) RETURNING id", text
            )
            return Answer.json({"id": number, "text": text}, 201)

        return (await run_once(database, ticket, work)).response()

    return app


@asynccontextmanager
async def client(database: Database, url: str) -> AsyncIterator[httpx2.AsyncClient]:
    """A service with a table that refuses the text `late`, but only at COMMIT."""
    owner = await asyncpg.connect(url)
    await owner.execute(
        """
        CREATE TABLE routing.note (id bigint GENERATED ALWAYS AS IDENTITY, text text NOT NULL);
        CREATE FUNCTION routing.refuse_late() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN IF NEW.text = 'late' THEN RAISE EXCEPTION 'refused at commit'; END IF; RETURN NULL; END $$;
        CREATE CONSTRAINT TRIGGER late AFTER INSERT ON routing.note DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW EXECUTE FUNCTION routing.refuse_late();
        GRANT SELECT, INSERT ON routing.note TO leadline_routing;
        """
    )
    await owner.close()
    api = dispatch(application(database), service="test")
    headers = {"authorization": "Bearer ll_x"}
    transport = httpx2.ASGITransport(api)
    async with httpx2.AsyncClient(transport=transport, base_url="http://test", headers=headers) as opened:
        yield opened


async def notes(database: Database) -> list[str]:
    async with database.connection() as connection:
        return [row["text"] for row in await connection.fetch("SELECT text FROM routing.note ORDER BY id")]


async def test_a_commit_that_fails_is_a_5xx_and_nothing_is_stored(
    service_database: OpenService, database_url: str
) -> None:
    database = await service_database("routing")
    async with client(database, database_url) as http:
        response = await http.post("/v1/notes", json={"text": "late"}, headers={"idempotency-key": "k1"})
        assert response.status_code == 500
        assert response.json()["code"] == "internal_error"
        assert "refused at commit" not in response.text
        assert await notes(database) == []
        again = await http.post("/v1/notes", json={"text": "fine"}, headers={"idempotency-key": "k1"})
        assert again.status_code == 201


async def test_a_repeated_request_gets_the_first_answer_and_is_done_once(
    service_database: OpenService, database_url: str
) -> None:
    database = await service_database("routing")
    async with client(database, database_url) as http:
        first = await http.post("/v1/notes", json={"text": "a"}, headers={"idempotency-key": "k1"})
        again = await http.post("/v1/notes", json={"text": "a"}, headers={"idempotency-key": '"k1"'})
        other = await http.post("/v1/notes", json={"text": "b"}, headers={"idempotency-key": "k1"})
        without = await http.post("/v1/notes", json={"text": "a"})
    assert (first.status_code, first.content) == (again.status_code, again.content)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert without.status_code == 201
    assert await notes(database) == ["a", "a"]


async def test_of_concurrent_repetitions_one_works_and_all_get_its_answer(
    service_database: OpenService, database_url: str
) -> None:
    database = await service_database("routing")
    async with client(database, database_url) as http:
        posts = (
            http.post("/v1/notes", json={"text": "a"}, headers={"idempotency-key": "k1"}) for _ in range(5)
        )
        responses = await asyncio.gather(*posts)
    assert {response.content for response in responses} == {responses[0].content}
    assert await notes(database) == ["a"]


async def test_while_the_first_request_still_runs_its_repetition_is_a_409(
    service_database: OpenService, database_url: str
) -> None:
    database = await service_database("routing")
    started, finish = asyncio.Event(), asyncio.Event()

    async with client(database, database_url) as http:

        async def slow(_tx: Transaction) -> Answer:
            started.set()
            await finish.wait()
            return Answer.json({})

        ticket = await read_ticket(a_request(b'{"text":"a"}', "k1"), WORK)
        running = asyncio.create_task(run_once(database, ticket, slow))
        await started.wait()
        response = await http.post(
            "/v1/notes",
            content=b'{"text":"a"}',
            headers={"idempotency-key": "k1", "content-type": "application/json"},
        )
        assert (response.status_code, response.json()["code"]) == (409, "idempotency_key_in_use")
        finish.set()
        await running


def a_request(body: bytes, key: str) -> Request:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/notes",
        "query_string": b"",
        "headers": [(b"idempotency-key", key.encode()), (b"host", b"test")],
        "scheme": "http",
        "server": ("test", 80),
    }
    return Request(scope, receive=receive)


@pytest.mark.parametrize("key", ["", "x" * 256, "naïve", "tab\there"])
async def test_a_bad_idempotency_key_is_a_400(
    service_database: OpenService, database_url: str, key: str
) -> None:
    database = await service_database("routing")
    async with client(database, database_url) as http:
        response = await http.post(
            "/v1/notes", json={"text": "a"}, headers={b"idempotency-key": key.encode("latin-1")}
        )
    assert (response.status_code, response.json()["code"]) == (400, "invalid_idempotency_key")


async def test_a_lock_that_is_not_had_in_time_is_a_503(
    service_database: OpenService, database_url: str
) -> None:
    database = await service_database("routing")
    async with client(database, database_url) as http:
        blocker = await asyncpg.connect(database_url)
        try:
            async with blocker.transaction():
                await blocker.execute("LOCK TABLE routing.note IN ACCESS EXCLUSIVE MODE")
                response = await http.post("/v1/notes", json={"text": "a"})
        finally:
            await blocker.close()
    assert (response.status_code, response.json()["code"]) == (503, "database_unavailable")
    assert response.headers["retry-after"]


async def test_a_connection_cut_in_the_middle_is_a_503_and_the_next_request_works(
    service_database: OpenService, database_url: str
) -> None:
    database = await service_database("routing")
    async with client(database, database_url) as http:
        await http.post("/v1/notes", json={"text": "a"})
        admin = await asyncpg.connect(database_url)
        async with admin.transaction():
            await admin.execute("LOCK TABLE routing.note IN ACCESS EXCLUSIVE MODE")
            posting = asyncio.create_task(http.post("/v1/notes", json={"text": "b"}))

            async def waiting() -> bool:
                found = await admin.fetchval(
                    "SELECT count(*) FROM pg_stat_activity"
                    " WHERE wait_event_type = 'Lock' AND datname = current_database()"
                )
                return bool(found)

            await eventually(waiting)
            await admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            response = await posting
        await admin.close()
        assert response.status_code == 503
        assert (await http.post("/v1/notes", json={"text": "c"})).status_code == 201
    assert await notes(database) == ["a", "c"]


async def test_keys_are_made_found_and_revoked(service_database: OpenService, database_url: str) -> None:
    database = await service_database("ingest")
    owner = await asyncpg.connect(database_url)
    try:
        made = await create_key(owner, name="CRM", scopes=["work"], actor="rep_1")
        site = await create_key(owner, name="Website", scopes=["ingest"], source="website", public=True)
        cache = KeyCache(PostgresKeys(database), ttl_seconds=0)
        found = await cache.find(made.token)
        assert found == ApiKey(made.id, frozenset({"work"}), name="CRM", actor="rep_1")
        public = await cache.find(site.token)
        assert (public.source, public.public, public.scopes) == ("website", True, frozenset({"ingest"}))

        async def touched() -> bool:
            return all(info.last_used_at is not None for info in await list_keys(owner))

        await eventually(touched)
        assert await revoke_key(owner, made.id) is True
        assert await revoke_key(owner, "key_unknown") is False
        with pytest.raises(Exception, match="401"):
            await cache.find(made.token)
        assert [info.revoked_at is not None for info in await list_keys(owner)] == [True, False]
        await cache.close()
    finally:
        await owner.close()


async def test_the_token_itself_is_nowhere_in_the_database(database_url: str) -> None:
    owner = await asyncpg.connect(database_url)
    try:
        made = await create_key(owner, name="CRM", scopes=["read"])
        row = await owner.fetchval("SELECT api_key::text FROM platform.api_key")
        assert made.token.rpartition("_")[2] not in row
    finally:
        await owner.close()


async def test_an_expired_key_is_refused(service_database: OpenService, database_url: str) -> None:
    owner = await asyncpg.connect(database_url)
    past = datetime.now(UTC) - timedelta(seconds=1)
    made = await create_key(owner, name="old", scopes=["read"], expires_at=past)
    await owner.close()
    cache = KeyCache(PostgresKeys(await service_database("ingest")))
    with pytest.raises(Exception, match="401"):
        await cache.find(made.token)
    await cache.close()


async def test_a_public_key_cannot_be_made_with_more_than_ingest(database_url: str) -> None:
    owner = await asyncpg.connect(database_url)
    try:
        with pytest.raises(ValueError, match="public write key"):
            await create_key(owner, name="x", scopes=["ingest", "read"], public=True)
        with pytest.raises(asyncpg.CheckViolationError):
            await owner.fetchval(
                "SELECT platform.create_key('k', sha256('x'), 'x', ARRAY['read'], NULL, NULL, true, NULL)"
            )
    finally:
        await owner.close()
