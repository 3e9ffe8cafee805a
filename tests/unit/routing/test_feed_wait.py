"""`wait=` of the feed: a request that finds nothing yet is answered when an event arrives."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from unittest.mock import Mock

import httpx2
import pytest

from services.routing.entrypoints import feed
from shared.outbox.feed_wakeup import FeedHints
from shared.web.app import create_app
from shared.web.auth import ApiKey
from tests.support.eventually import eventually

AT = datetime(2026, 3, 2, 10, tzinfo=UTC)


class ArrivesAt:
    """A feed whose one event arrives just before the given look at it."""

    def __init__(self, look: int) -> None:
        self.look = look
        self.looks = 0

    async def feed_range(self) -> tuple[int, int, int]:
        self.looks += 1
        return 1, 1, int(self.looks >= self.look)

    async def feed(self, after: int, limit: int, types: Sequence[str]) -> list[dict[str, Any]]:
        if self.looks < self.look or after >= 1:
            return []
        return [
            {"feed_seq": 1, "event_id": "ev_1", "type": "leadline.handoff.assigned.v1", "key": "ld_1",
             "time": AT, "sent_epoch": 1, "payload": b'{"lead_id":"ld_1"}'}
        ]  # fmt: skip


async def _ask(events: ArrivesAt, path: str, hints: FeedHints | None = None) -> dict[str, Any]:
    async def authenticate(_: str) -> ApiKey:
        return ApiKey("key_1", frozenset({"read"}))

    app = create_app("feed", authenticate=authenticate)
    reads = Mock(feed=events.feed, feed_range=events.feed_range)
    app.include_router(feed.feed_routes(reads, hints or FeedHints()))
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://leadline.test") as client:
        answer = await client.get(path, headers={"authorization": "Bearer k"})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


@pytest.fixture(autouse=True)
def looks_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "LOOK_SECONDS", 0)


async def test_an_event_that_arrives_while_a_request_waits_is_its_answer() -> None:
    events = ArrivesAt(3)
    page = await _ask(events, "/v1/events?wait=20")
    assert [event["id"] for event in page["data"]] == ["ev_1"]
    assert events.looks == 3, "it waited for two looks and was answered at the third, long before 20 s"
    assert (await _ask(ArrivesAt(1), f"/v1/events?after={page['next']}"))["data"] == []


async def test_without_wait_an_empty_feed_is_answered_at_once_and_nothing_is_skipped_later() -> None:
    events = ArrivesAt(2)
    page = await _ask(events, "/v1/events")
    assert (page["data"], events.looks) == ([], 1)
    after = await _ask(events, f"/v1/events?after={page['next']}")
    assert [event["sequence"] for event in after["data"]] == [1]


async def test_a_hint_wakes_a_request_that_would_not_look_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "LOOK_SECONDS", 60)
    events, hints = ArrivesAt(2), FeedHints()
    asking = asyncio.create_task(_ask(events, "/v1/events?wait=25", hints))
    await eventually(lambda: events.looks == 1)
    hints.wake()
    page = await asyncio.wait_for(asking, 10)
    assert [event["id"] for event in page["data"]] == ["ev_1"]


async def test_what_arrives_while_a_request_looks_is_not_slept_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "LOOK_SECONDS", 60)
    hints = FeedHints()

    class HintedDuringLook(ArrivesAt):
        async def feed_range(self) -> tuple[int, int, int]:
            if not self.looks:
                hints.wake()
            return await super().feed_range()

    page = await asyncio.wait_for(_ask(HintedDuringLook(2), "/v1/events?wait=25", hints), 10)
    assert [event["id"] for event in page["data"]] == ["ev_1"]
