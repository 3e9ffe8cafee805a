"""What real tracking libraries sent, replayed against the doors."""

import gzip
import json
from typing import Any
from urllib.parse import urlsplit

import orjson
import pytest

from tests.support.data_folder import data_file
from tests.support.ingest_world import IngestWorld

# The same messages under other paths come in through the door beside them.
PATHS = {"/beacon/v1/batch": "batch"}
CAPTURES = [
    "rudder-analytics-js-beacon", "rudder-analytics-js", "rudder-sdk-node", "rudder-sdk-python",
    "segment-analytics-next-batching", "segment-analytics-next-json-content-type",
    "segment-analytics-next-retry500", "segment-analytics-next-standard", "segment-analytics-node",
    "segment-analytics-python-gzip", "segment-analytics-python-retry429", "segment-analytics-python",
    "segment-snippet-5.2.0", "jitsu-js", "jitsu-js-s2s",
]  # fmt: skip


def _door(path: str) -> str | None:
    plain = urlsplit(path).path
    if plain.startswith("/v1/"):
        return plain.removeprefix("/v1/")
    if plain.startswith("/api/s/"):
        return plain.rpartition("/")[2]
    return PATHS.get(plain)


def _content(request: dict[str, Any]) -> bytes:
    body = request["body"]
    raw = body.encode() if isinstance(body, str) else orjson.dumps(body)
    return gzip.compress(raw) if request["body_encoding"] == "gzip" else raw


@pytest.mark.data
@pytest.mark.parametrize("client", CAPTURES)
async def test_everything_a_library_sent_is_accepted(world: IngestWorld, client: str) -> None:
    capture = json.loads(data_file("samples", "segment", f"{client}.json").read_text(encoding="utf-8"))
    sent = 0
    for request in capture["requests"]:
        door = _door(request["path"])
        if door is None or request["method"] not in {"POST", "OPTIONS"}:
            continue
        dropped = {"host", "authorization", "x-write-key", "content-length", "connection"}
        headers = {name: value for name, value in request["headers"] if name.lower() not in dropped}
        if request["method"] == "OPTIONS":
            answer = await world.client.options(f"/v1/{door}", headers=headers)
            assert answer.status_code == 204
            continue
        headers["authorization"] = f"Bearer {world.write_key}"
        answer = await world.client.post(f"/v1/{door}", content=_content(request), headers=headers)
        assert answer.status_code == 200, answer.text
        body = request["body"]
        expected = len(body["batch"]) if "batch" in body else 1
        assert answer.json() == {"success": True, "accepted": expected, "quarantined": []}
        sent += expected
    assert sent > 0
    events = world.appended()
    assert len(events) == sent
    assert all(event.occurred_at <= event.received_at for event in events)
    assert all(event.anonymous_id or event.user_id or event.person.email for event in events)
