"""The tracking doors: per-item acceptance, durable before 2xx, 503 when the bus is away."""

import asyncio
import base64
import gzip
from collections.abc import Sequence
from pathlib import Path

import orjson
import pytest

from shared.bus.memory import MemoryBus
from shared.bus.port import Outgoing
from tests.support.ingest_world import IngestWorld, ingest_world

TRACK = {"type": "track", "event": "Pricing Viewed", "anonymousId": "a-1", "messageId": "m-1"}


@pytest.mark.parametrize(
    ("door", "kind", "extra"),
    [
        ("track", "track", {}),
        ("t", "track", {}),
        ("identify", "identify", {"traits": {"email": "Ada+News@Gmail.com"}}),
        ("i", "identify", {}),
        ("page", "page", {"name": "Pricing"}),
        ("p", "page", {}),
        ("screen", "screen", {}),
        ("s", "screen", {}),
        ("group", "group", {"groupId": "g-1", "traits": {"name": "Engines"}}),
        ("g", "group", {"groupId": "g-1"}),
        ("alias", "alias", {"previousId": "a-0", "userId": "u-1"}),
        ("a", "alias", {"previousId": "a-0", "userId": "u-1"}),
    ],
)
async def test_each_single_door_takes_its_kind(
    world: IngestWorld, door: str, kind: str, extra: dict[str, object]
) -> None:
    answer = await world.track({"event": "x", "anonymousId": "a-1", **extra}, door)
    assert (answer.status_code, answer.json()) == (200, {"success": True, "accepted": 1, "quarantined": []})
    [event] = world.appended()
    assert event.kind == kind


async def test_a_bad_item_is_parked_and_does_not_fail_the_batch(world: IngestWorld) -> None:
    batch = [TRACK, {"type": "nonsense", "anonymousId": "a-1"}, 17, {**TRACK, "messageId": "m-2"}]
    batch.append({"type": "page", "properties": {"x": "y" * 40_000}, "anonymousId": "a-1"})
    answer = (await world.track({"batch": batch})).json()
    assert answer["accepted"] == 2
    assert [(item["index"], item["code"]) for item in answer["quarantined"]] == [
        (1, "unknown_type"),
        (2, "not_an_object"),
        (4, "too_large"),
    ]
    assert [event.message_id for event in world.appended()] == ["m-1", "m-2"]
    held = await world.rows("SELECT id FROM ingest.quarantine WHERE state = 'held'")
    assert len(held) == 3


@pytest.mark.parametrize("too_long", ["a" * 501, "\U0001f680" * 251])
@pytest.mark.parametrize("name", ["anonymousId", "userId", "previousId"])
async def test_an_id_that_scoring_could_not_store_is_parked_alone_and_named(
    world: IngestWorld, name: str, too_long: str
) -> None:
    alias = {"type": "alias", "anonymousId": "a-1", "userId": "u-1", "previousId": "a-0", name: too_long}
    longest = {**TRACK, "messageId": "m-2", "anonymousId": "a" * 500, "userId": "\U0001f680" * 250}
    answer = (await world.track({"batch": [TRACK, alias, longest]})).json()
    assert answer["accepted"] == 2
    [parked] = answer["quarantined"]
    assert (parked["index"], parked["code"], parked["pointer"]) == (1, "id_too_long", f"/{name}")
    repair = {"fields": {name: "a-9"}}
    path = f"/v1/quarantine/{parked['id']}/repair"
    assert (await world.client.post(path, json=repair, headers=world.admin)).status_code == 200


async def test_what_a_batch_shares_does_not_make_gigabytes_of_it(world: IngestWorld) -> None:
    many: list[dict[str, str]] = [{}] * 2000
    refused = await world.track({"batch": many, "context": {"note": "x" * 300_000}})
    assert (refused.status_code, refused.json()["code"]) == (413, "too_large")
    assert await world.rows("SELECT 1 FROM ingest.quarantine") == []
    usual = await world.track({"batch": many, "context": {"note": "x" * 2000}})
    assert usual.status_code == 200


async def test_the_retry_of_a_batch_parks_nothing_twice(world: IngestWorld) -> None:
    for attempt in range(3):
        item = {"type": "nonsense", "anonymousId": "a-1", "_metadata": {"retryCount": attempt}}
        await world.track({"batch": [item], "sentAt": f"2026-11-21T21:00:0{attempt}Z"})
    assert len(await world.rows("SELECT id FROM ingest.quarantine")) == 1


async def test_the_key_is_found_wherever_clients_put_it(world: IngestWorld) -> None:
    key = world.write_key
    basic = base64.b64encode(f"{key}:".encode()).decode()
    ways: list[tuple[str, dict[str, str], dict[str, str]]] = [
        ("/v1/track", {"authorization": f"Bearer {key}"}, {}),
        ("/v1/track", {"authorization": f"Basic {basic}"}, {}),
        ("/v1/track", {"x-write-key": key}, {}),
        ("/v1/track", {"x-write-key": f"{key}:secret"}, {}),
        (f"/v1/track?writeKey={key}", {}, {}),
        ("/v1/track", {}, {"writeKey": key}),
        ("/v1/track", {"authorization": "Basic !!!"}, {"writeKey": key}),
    ]
    for path, headers, extra in ways:
        answer = await world.client.post(path, json={**TRACK, **extra}, headers=headers)
        assert answer.status_code == 200, (path, headers)
    assert (await world.client.post("/v1/track", json=TRACK)).status_code == 401
    unknown = {"authorization": "Bearer wk_unknown"}
    assert (await world.client.post("/v1/track", json=TRACK, headers=unknown)).status_code == 401
    reader = {"authorization": f"Bearer {world.read_key}"}
    assert (await world.client.post("/v1/track", json=TRACK, headers=reader)).status_code == 403


async def test_whatever_senders_append_to_the_address_is_left_alone(world: IngestWorld) -> None:
    for path in ("track?_=1&statsu=x", "forms/website?utm_source=news&statsu=x"):
        headers = {"authorization": f"Bearer {world.write_key}"}
        body = {**TRACK, "email": "ada@example.com"}
        assert (await world.client.post(f"/v1/{path}", json=body, headers=headers)).status_code == 200


@pytest.mark.parametrize(
    ("odd", "told"),
    [
        (b'"userId": 42', {"user_id": "42"}),
        (b'"userId": 1.5', {"user_id": None}),
        (b'"event": 7', {"name": "7"}),
        (b'"properties": [1], "traits": "x", "context": 3', {"properties": {}}),
        (b'"anonymousId": " b "', {"anonymous_id": "b"}),
        (b'"properties": {"a": NaN, "b": 99999999999999999999}', {"properties": {"a": None, "b": "9" * 20}}),
    ],
)
async def test_an_odd_value_becomes_what_the_page_about_events_says(
    world: IngestWorld, odd: bytes, told: dict[str, object]
) -> None:
    body = orjson.dumps(TRACK)[:-1] + b", " + odd + b"}"
    assert (await world.track(body, "track")).json()["accepted"] == 1
    [event] = world.appended()
    assert {name: getattr(event, name) for name in told} == told


async def test_an_empty_batch_is_no_fault(world: IngestWorld) -> None:
    answer = await world.track({"batch": []})
    assert (answer.status_code, answer.json()["accepted"]) == (200, 0)


async def test_bodies_are_read_by_content_not_by_content_type(world: IngestWorld) -> None:
    body = orjson.dumps({"batch": [TRACK]})
    for content, content_type in (
        (body, "text/plain"),
        (gzip.compress(body), "application/x-www-form-urlencoded"),
        (body, "application/json; charset=latin-1"),
    ):
        answer = await world.track(content, **{"content-type": content_type})
        assert answer.json()["accepted"] == 1


@pytest.mark.parametrize(
    ("content", "status", "detail"),
    [
        (b"", 400, "the body is empty"),
        (b" \n", 400, "the body is empty"),
        (b"not json", 400, "the body is not JSON (line 1, column 1)"),
        (b'{"batch": [],\n]}', 400, "the body is not JSON (line 2, column 1)"),
        (b'{"batch": "\xff"}', 400, "the body is not JSON: it is no text in UTF-8"),
        (b"[1, 2]", 400, "the body is a list, not an object"),
        (b"null", 400, "the body is null, not an object"),
        (b"false", 400, "the body is true or false, not an object"),
        (b'"{}"', 400, "the body is a text, not an object"),
        (b"1.5", 400, "the body is a number, not an object"),
        (b'{"batch": {}}', 400, "the body has no list of messages under `batch`"),
        (b"[" * 100_000, 400, "the body is nested too deeply"),
        (b'{"batch": [' + b"[" * 100_000, 400, "the body is nested too deeply"),
        (b"\x1f\x8bnot gzip", 400, "the body cannot be unpacked: it is damaged, or ends early"),
        (gzip.compress(b"0" * 2_000_000), 413, "the body is larger than 500000 bytes"),
        (b" " * 600_000, 413, "the body is larger than 500000 bytes"),
        (orjson.dumps({"batch": [0] * 2501}), 413, "a batch holds at most 2500 messages"),
    ],
)
async def test_what_is_no_batch_at_all_is_told_why_and_never_a_5xx(
    world: IngestWorld, content: bytes, status: int, detail: str
) -> None:
    answer = await world.track(content)
    assert (answer.status_code, answer.json()["detail"]) == (status, detail)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["request_id"] == answer.headers["x-request-id"]


async def test_the_key_is_asked_for_before_what_the_batch_lacks(world: IngestWorld) -> None:
    bad: list[dict[str, object]] = [{"batch": {}}, {"batch": [0] * 2501}]
    for body in bad:
        unknown = await world.client.post("/v1/batch", json=body)
        assert (unknown.status_code, unknown.json()["code"]) == (401, "unknown_key")
        answer = await world.track(body)
        assert [error["pointer"] for error in answer.json()["errors"]] == ["/batch"]


@pytest.mark.parametrize("coding", ["br", "zstd", "deflate", "gzip, BR"])
async def test_a_packing_that_cannot_be_undone_is_refused_by_name(world: IngestWorld, coding: str) -> None:
    headers = {"content-encoding": coding, "authorization": f"Bearer {world.write_key}"}
    answer = await world.client.post("/v1/track", content=b"\x0b\x02\x80{}\x03", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_encoding")
    assert answer.json()["errors"] == [
        {"pointer": "/content-encoding", "detail": "must be gzip or identity", "in": "header"}
    ]
    assert answer.headers["accept-encoding"] == "gzip, identity"
    assert world.appended() == []


async def test_a_form_in_a_packing_that_cannot_be_undone_is_kept(world: IngestWorld) -> None:
    headers = {"content-encoding": "br"}
    answer = await world.client.post("/v1/forms/website", content=b"\x0b\x02\x80{}\x03", headers=headers)
    assert answer.status_code == 200
    assert len(await world.rows("SELECT 1 FROM ingest.receipt")) == 1


@pytest.mark.parametrize("word", ["utf-8", "identity", "gzip", "", "br"])
async def test_a_word_that_is_not_true_of_the_body_costs_nothing(world: IngestWorld, word: str) -> None:
    assert (await world.track(TRACK, "track", **{"content-encoding": word})).json()["accepted"] == 1


@pytest.mark.parametrize(
    "poison",
    [
        b'"\\u0000"',
        b"NaN",
        b'"\\ud800"',
        b"9" * 5000,
        b"-Infinity",
        b"1e400",
        b"[" * 200 + b"]" * 200,
        b"[" * 900 + b"]" * 900,
        b'{"\\u0000": "\\udfff"}',
    ],
)
async def test_poison_in_one_item_costs_no_other(world: IngestWorld, poison: bytes) -> None:
    good = orjson.dumps(TRACK)
    poisoned = b'{"type":"track","event":"x","anonymousId":"a-2","properties":{"p":' + poison + b"}}"
    answer = await world.track(b'{"batch":[' + good + b"," + poisoned + b"]}")
    assert answer.status_code == 200, answer.text
    assert answer.json()["accepted"] + len(answer.json()["quarantined"]) == 2
    assert "m-1" in [event.message_id for event in world.appended()]


async def test_without_the_bus_the_answer_is_503_with_retry_after(world: IngestWorld) -> None:
    world.bus.available = False
    answer = await world.track({"batch": [TRACK]}, origin="https://www.example.com")
    assert answer.status_code == 503
    assert answer.headers["retry-after"].isdigit()
    assert answer.headers["access-control-expose-headers"] == "Retry-After"
    assert world.appended() == []
    world.bus.available = True
    assert (await world.track({"batch": [TRACK]})).json()["accepted"] == 1


class _SilentBus(MemoryBus):
    """Never answers."""

    calls = 0

    async def append(self, messages: Sequence[Outgoing]) -> None:
        self.calls += 1
        await asyncio.Event().wait()


async def test_a_silent_bus_costs_its_time_out_only_until_the_breaker_opens(
    database_url: str, tmp_path: Path
) -> None:
    bus = _SilentBus()
    async with ingest_world(database_url, tmp_path, bus=bus, bus_timeout_seconds=0.2) as world:
        for _ in range(3):
            assert (await world.track({"batch": [TRACK]})).status_code == 503
        started = asyncio.get_running_loop().time()
        answers = await asyncio.gather(*(world.track({"batch": [TRACK]}) for _ in range(50)))
        assert {answer.status_code for answer in answers} == {503}
        assert asyncio.get_running_loop().time() - started < 2
        assert bus.calls == 3


async def test_a_batch_with_bad_items_is_not_acknowledged_when_they_cannot_be_kept(
    world: IngestWorld,
) -> None:
    await world.rows("ALTER TABLE ingest.quarantine RENAME TO elsewhere")
    answer = await world.track({"batch": [TRACK, {"type": "nonsense"}]})
    assert answer.status_code >= 500
    await world.rows("ALTER TABLE ingest.elsewhere RENAME TO quarantine")
    assert (await world.track({"batch": [TRACK, {"type": "nonsense"}]})).json()["accepted"] == 1


async def test_browser_libraries_find_their_settings_and_pass_the_preflight(world: IngestWorld) -> None:
    origin = {"origin": "http://localhost:9400"}
    settings = await world.client.get("/v1/projects/wk_test/settings", headers=origin)
    assert settings.json()["integrations"]["Segment.io"] == {
        "apiKey": "wk_test",
        "apiHost": "leadline.test/v1",
        "protocol": "http",
    }
    assert settings.headers["access-control-allow-origin"] == origin["origin"]
    asked = {**origin, "access-control-request-headers": "anonymousid,authorization,content-type,sentat"}
    preflight = await world.client.options("/v1/p", headers=asked)
    assert preflight.status_code == 204
    assert preflight.headers["access-control-allow-headers"] == asked["access-control-request-headers"]
    assert (await world.client.post("/v1/m", content=b'{"series":[]}')).status_code == 200
    assert (await world.client.get("/v1/track")).status_code == 405


async def test_after_a_restart_the_same_messages_have_the_same_ids(database_url: str, tmp_path: Path) -> None:
    ids: list[list[str]] = []
    for run in ("one", "two"):
        async with ingest_world(database_url, tmp_path / run) as world:
            await world.track({"batch": [TRACK, {"type": "page", "anonymousId": "a-1"}]})
            ids.append([event.event_id for event in world.appended()])
    assert ids[0] == ids[1]
