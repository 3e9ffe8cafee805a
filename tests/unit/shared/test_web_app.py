"""The HTTP base: every error is a problem, hot paths stand in front, nothing hangs."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any

import httpx2
import pytest
from fastapi import Depends, FastAPI, Query
from pydantic import BaseModel, ConfigDict
from starlette.types import ASGIApp, Receive, Scope, Send

from shared.web.app import create_app, dispatch
from shared.web.auth import ApiKey, authenticate_asgi, require, unauthorized
from shared.web.body import BodyLimits, parse_json, read_body
from shared.web.exchange import LATE_HEADERS
from shared.web.problem import Problem


class Wish(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str
    size: int


async def authenticate(token: str) -> ApiKey:
    keys = {
        "ll_work": ApiKey("key_1", frozenset({"work"})),
        "wk_site": ApiKey("key_2", frozenset({"ingest"}), public=True),
    }
    if token not in keys:
        raise unauthorized("The API key is not valid.")
    return keys[token]


def application() -> FastAPI:
    app = create_app("Test", authenticate=authenticate)

    @app.post("/v1/wishes")
    async def wish(body: Wish) -> dict[str, Any]:
        return {"name": body.name}

    @app.get("/v1/wishes")
    async def wishes(
        _: Annotated[ApiKey, Depends(require("read"))],
        state: str = "any",
        is_open: Annotated[bool | None, Query(alias="open")] = None,
    ) -> dict[str, Any]:
        return {"state": state, "open": is_open}

    @app.get("/v1/wishes/{wish_id}")
    async def one(wish_id: int, key: Annotated[ApiKey, Depends(require("read"))]) -> dict[str, Any]:
        return {"id": wish_id, "key": key.id}

    @app.get("/v1/fails")
    async def fails(kind: str) -> None:
        raise {"bug": RuntimeError("secret@example.com"), "database": ConnectionRefusedError("10.0.0.7")}[
            kind
        ]

    @app.get("/v1/moves")
    async def moves() -> None:
        raise Problem(409, "illegal_move", "Not from here.", extra={"legal": ["accept"]})

    @app.get("/v1/sleeps")
    async def sleeps() -> None:
        await asyncio.Event().wait()

    return app


@asynccontextmanager
async def client(**options: Any) -> AsyncIterator[httpx2.AsyncClient]:
    api = dispatch(application(), service="test", **options)
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(api), base_url="http://test") as opened:
        yield opened


def problem(response: httpx2.Response, status: int, code: str) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert body["status"] == status
    assert body["code"] == code
    assert body["request_id"] == response.headers["x-request-id"]
    return body


async def test_an_unknown_path_is_a_problem() -> None:
    async with client() as http:
        problem(await http.get("/nowhere"), 404, "not_found")


async def test_a_wrong_method_is_a_problem_with_allow() -> None:
    async with client() as http:
        response = await http.put("/v1/moves")
    problem(response, 405, "method_not_allowed")
    assert response.headers["allow"] == "GET"


async def test_a_bad_field_is_named_by_its_pointer() -> None:
    async with client() as http:
        response = await http.post("/v1/wishes", json={"name": "x", "size": "huge", "colour": "red"})
    body = problem(response, 422, "invalid_request")
    assert {(error["pointer"], error["in"]) for error in body["errors"]} == {
        ("/size", "body"),
        ("/colour", "body"),
    }
    assert "huge" not in response.text


@pytest.mark.parametrize("kind", [None, "application/x-www-form-urlencoded", "text/plain"])
async def test_a_body_that_is_not_said_to_be_json_is_told_which_header_is_wrong(kind: str | None) -> None:
    headers = {"content-type": kind} if kind else {}
    async with client() as http:
        response = await http.post("/v1/wishes", content=b'{"name": "x", "size": 1}', headers=headers)
    body = problem(response, 415, "unsupported_media_type")
    assert body["errors"] == [
        {"pointer": "/content-type", "detail": "must be application/json", "in": "header"}
    ]


async def test_a_json_text_in_place_of_an_object_is_no_fault_of_the_header() -> None:
    async with client() as http:
        response = await http.post("/v1/wishes", json="x")
    assert problem(response, 422, "invalid_request")["errors"][0]["pointer"] == ""


async def test_a_packing_that_is_not_undone_is_told_with_its_header() -> None:
    async with client() as http:
        response = await http.post("/v1/wishes", content=b"x", headers={"content-encoding": "br"})
    body = problem(response, 415, "unsupported_encoding")
    assert body["errors"] == [
        {"pointer": "/content-encoding", "detail": "must be gzip, deflate or identity", "in": "header"}
    ]


async def test_a_bad_parameter_is_named_by_its_place() -> None:
    async with client() as http:
        response = await http.get("/v1/wishes/abc", headers={"authorization": "Bearer ll_work"})
    assert problem(response, 422, "invalid_request")["errors"][0]["in"] == "path"


async def test_a_parameter_that_no_endpoint_reads_is_named() -> None:
    key = {"authorization": "Bearer ll_work"}
    async with client() as http:
        known = await http.get("/v1/wishes?state=new&open=true", headers=key)
        slip = await http.get("/v1/wishes?statsu=new&open=true&is_open=1&~/=1", headers=key)
        nowhere = await http.get("/v1/wishes/7?state=new", headers=key)
        keyless = await http.get("/v1/wishes?statsu=new")
    assert known.json() == {"state": "new", "open": True}
    body = problem(slip, 422, "unknown_parameter")
    assert body["known"] == ["open", "state"]
    assert body["errors"] == [
        {
            "pointer": "/statsu",
            "detail": "no parameter has this name; did you mean `state`?",
            "in": "query",
        },
        {"pointer": "/is_open", "detail": "no parameter has this name; did you mean `open`?", "in": "query"},
        {"pointer": "/~0~1", "detail": "no parameter has this name", "in": "query"},
    ]
    assert problem(nowhere, 422, "unknown_parameter")["known"] == []
    problem(keyless, 401, "unauthorized")


async def test_a_problem_carries_its_extra_members() -> None:
    async with client() as http:
        assert problem(await http.get("/v1/moves"), 409, "illegal_move")["legal"] == ["accept"]


async def test_a_bug_is_a_500_that_leaks_nothing() -> None:
    async with client() as http:
        response = await http.get("/v1/fails", params={"kind": "bug"})
    problem(response, 500, "internal_error")
    assert "example.com" not in response.text


async def test_a_database_that_is_away_is_a_503_with_retry_after() -> None:
    async with client() as http:
        response = await http.get("/v1/fails", params={"kind": "database"})
    problem(response, 503, "database_unavailable")
    assert 1 <= int(response.headers["retry-after"]) <= 5


async def test_an_endpoint_that_hangs_is_a_503_at_the_deadline() -> None:
    async with client(deadline_seconds=0.05) as http:
        response = await asyncio.wait_for(http.get("/v1/sleeps"), timeout=5)
    problem(response, 503, "deadline")
    assert response.headers["retry-after"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"name": "a\\u0000b", "size": 1}', "json_nul"),
        (b'{"name": "a", "size": NaN}', "json_nan"),
        (b'{"name": "\\ud800", "size": 1}', "json_surrogate"),
        (b"[" * 100_000, "json_depth"),
        (b'{"name": "a", "size": ' + b"9" * 5000 + b"}", "json_number"),
        (b'{"name": "a", "name": "b", "size": 1}', "json_duplicate_key"),
        (b'{"name": ', "not_json"),
        (b'{"name": "\xff"}', "not_utf8"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_poisoned_body_is_a_400_before_the_handler(body: bytes, code: str) -> None:
    async with client() as http:
        response = await http.post("/v1/wishes", content=body, headers={"content-type": "application/json"})
    problem(response, 400, code)


async def test_a_nul_in_the_address_is_a_400() -> None:
    async with client() as http:
        problem(await http.get("/v1/fails?kind=%00"), 400, "nul_in_url")


async def test_a_packed_body_reaches_the_handler_unpacked() -> None:
    packed = gzip.compress(b'{"name": "a", "size": 1}')
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    async with client() as http:
        response = await http.post("/v1/wishes", content=packed, headers=headers)
    assert response.json() == {"name": "a"}


async def test_a_large_body_is_a_413() -> None:
    async with client(limits=BodyLimits(max_bytes=100)) as http:
        problem(await http.post("/v1/wishes", content=b"x" * 101), 413, "body_too_large")


async def test_a_key_is_needed_and_its_scope_checked() -> None:
    async with client() as http:
        response = await http.get("/v1/wishes/1")
        problem(response, 401, "unauthorized")
        assert response.headers["www-authenticate"] == "Bearer"
        problem(
            await http.get("/v1/wishes/1", headers={"authorization": "Bearer ll_no"}), 401, "unauthorized"
        )
        problem(
            await http.get("/v1/wishes/1", headers={"authorization": "Bearer wk_site"}), 403, "wrong_scope"
        )
        response = await http.get("/v1/wishes/1", headers={"authorization": "Bearer ll_work"})
    assert response.json() == {"id": 1, "key": "key_1"}


def hot(work: Callable[[Scope, Receive], Awaitable[bytes]]) -> ASGIApp:
    async def endpoint(scope: Scope, receive: Receive, send: Send) -> None:
        body = await work(scope, receive)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})

    return endpoint


async def test_a_hot_path_stands_in_front_and_may_raise_problems() -> None:
    async def track(scope: Scope, receive: Receive) -> bytes:
        key = await authenticate_asgi(authenticate, scope, "ingest", basic=True)
        parse_json(await read_body(scope, receive))
        return key.id.encode()

    async def form(scope: Scope, receive: Receive) -> bytes:
        return str(scope["path"]).encode()

    routes = {("POST", "/v1/track"): hot(track), ("POST", "/v1/forms/*"): hot(form)}
    async with client(hot=routes) as http:
        accepted = await http.post("/v1/track", content=b"{}", auth=("wk_site", ""))
        assert accepted.content == b"key_2"
        problem(await http.post("/v1/track", content=b"{}"), 401, "unauthorized")
        problem(await http.post("/v1/track", content=b"{", auth=("wk_site", "")), 400, "not_json")
        problem(await http.get("/v1/track"), 405, "method_not_allowed")
        assert (await http.post("/v1/forms/website")).text == "/v1/forms/website"
        problem(await http.post("/v1/forms/"), 404, "not_found")


async def test_requests_are_counted_by_route_template_not_by_path() -> None:
    async with client() as http:
        await http.get("/v1/wishes/4711", headers={"authorization": "Bearer ll_work"})
        await http.get("/nowhere/4711")
        text = (await http.get("/metrics")).text
    assert 'route="/v1/wishes/{wish_id}",service="test",status="200"' in text
    assert "/4711" not in text


async def test_the_probes_answer() -> None:
    async def not_ready() -> dict[str, bool | str]:
        return {"database": "migrations pending: 0002"}

    async with client() as http:
        assert (await http.get("/livez")).status_code == 200
        assert (await http.get("/readyz")).status_code == 200
    api = dispatch(create_app("Test", authenticate=authenticate, ready=not_ready), service="test")
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(api), base_url="http://test") as http:
        body = problem(await http.get("/readyz"), 503, "not_ready")
    assert body["checks"] == {"database": "migrations pending: 0002"}


async def test_a_given_request_id_comes_back() -> None:
    async with client() as http:
        response = await http.get("/livez", headers={"x-request-id": "abcd-1234"})
        assert response.headers["x-request-id"] == "abcd-1234"
        strange = await http.get("/livez", headers={"x-request-id": "a b\tc"})
        assert strange.headers["x-request-id"] != "a b\tc"


async def answer(app: ASGIApp, receive: Receive) -> int:
    """Return the status that `app` gives to a POST whose body comes from `receive`."""
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/v1/track", "headers": []}
    await asyncio.wait_for(app(scope, receive, send), timeout=5)
    assert sent[-1].get("more_body", False) is False
    return int(sent[0]["status"])


async def test_a_body_that_never_ends_is_a_408(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never() -> Any:
        await asyncio.Event().wait()

    async def track(scope: Scope, receive: Receive) -> bytes:
        return await read_body(scope, receive)

    monkeypatch.setattr("shared.web.exchange.BODY_SECONDS", 0.05)
    app = dispatch(
        application(), service="test", hot={("POST", "/v1/track"): hot(track)}, deadline_seconds=0.02
    )
    assert await answer(app, never) == 408


async def test_the_deadline_counts_from_the_end_of_the_body() -> None:
    arrived = asyncio.Event()
    asyncio.get_running_loop().call_later(0.15, arrived.set)

    async def slowly() -> Any:
        await arrived.wait()
        return {"type": "http.request", "body": b"{}", "more_body": False}

    async def track(scope: Scope, receive: Receive) -> bytes:
        return await read_body(scope, receive)

    app = dispatch(
        application(), service="test", hot={("POST", "/v1/track"): hot(track)}, deadline_seconds=0.05
    )
    assert await answer(app, slowly) == 200


async def test_an_answer_given_in_place_of_a_late_endpoint_has_the_headers_it_asked_for() -> None:
    async def stuck(scope: Scope, _receive: Receive, _send: Send) -> None:
        scope[LATE_HEADERS] = [(b"access-control-allow-origin", b"https://www.example.com")]
        await asyncio.Event().wait()

    app = dispatch(application(), service="test", hot={("GET", "/stuck"): stuck}, deadline_seconds=0.02)
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://test") as http:
        answer = await http.get("/stuck")
    problem(answer, 503, "deadline")
    assert answer.headers["access-control-allow-origin"] == "https://www.example.com"


async def test_a_client_that_hangs_up_gets_no_answer_and_does_no_harm() -> None:
    async def gone() -> Any:
        return {"type": "http.disconnect"}

    async def track(scope: Scope, receive: Receive) -> bytes:
        return await read_body(scope, receive)

    async def send(message: Any) -> None:
        raise AssertionError("nobody listens")

    app = dispatch(application(), service="test", hot={("POST", "/v1/track"): hot(track)})
    await app({"type": "http", "method": "POST", "path": "/v1/track", "headers": []}, gone, send)
