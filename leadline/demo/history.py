"""The thirty days before the demonstration began, as tracking messages with their true instants."""

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from leadline.demo.population import Visitor, make_visitor

DAYS = 30
VISITORS = 150
Message = dict[str, Any]

# (path, title, weight): what visitors of a B2B site read.
PAGES = (
    ("/", "Home", 30),
    ("/product/{interest}", "Product", 20),
    ("/pricing", "Pricing", 10),
    ("/blog/speed-to-lead", "Speed to lead", 15),
    ("/blog/fair-rotation", "Fair rotation", 12),
    ("/docs/quickstart", "Quickstart", 8),
    ("/customers", "Customers", 10),
    ("/careers", "Careers", 5),
)


def page_view(visitor: Visitor, at: datetime, rng: random.Random) -> Message:
    """Return one page view by `visitor`."""
    path, title, _ = rng.choices(PAGES, weights=[weight for *_, weight in PAGES])[0]
    return page(visitor, at, path.format(interest=visitor.interest), title, rng)


def page(visitor: Visitor, at: datetime, path: str, title: str, rng: random.Random) -> Message:
    """Return the view of one given page."""
    url = f"https://www.leadline.example{path}"
    return {
        "type": "page",
        "name": title,
        "anonymousId": visitor.anonymous_id,
        "messageId": f"demo-{rng.getrandbits(96):024x}",
        "timestamp": at.isoformat(),
        "properties": {"url": url, "path": path, "title": title},
        "context": {"page": {"url": url, "path": path, "title": title}, "locale": "en-GB"},
    }


def track(visitor: Visitor, at: datetime, event: str, rng: random.Random) -> Message:
    """Return one named event by `visitor`."""
    return {
        "type": "track",
        "event": event,
        "anonymousId": visitor.anonymous_id,
        "messageId": f"demo-{rng.getrandbits(96):024x}",
        "timestamp": at.isoformat(),
        "properties": {},
    }


def identify(visitor: Visitor, at: datetime, rng: random.Random) -> Message:
    """Return the message by which the visitor becomes known: address and what the form asked."""
    traits = {k: v for k, v in visitor.form("").items() if k not in {"message", "anonymous_id"}}
    return {
        "type": "identify",
        "anonymousId": visitor.anonymous_id,
        "messageId": f"demo-{rng.getrandbits(96):024x}",
        "timestamp": at.isoformat(),
        "traits": traits,
    }


def history(rng: random.Random, now: datetime) -> Iterator[Message]:
    """Yield the messages of DAYS days up to `now`: most visitors stay anonymous, few come near a hand-off."""
    for number in range(VISITORS):
        visitor = make_visitor(rng, number)
        yield from _past_of(visitor, rng, now)


def _past_of(visitor: Visitor, rng: random.Random, now: datetime) -> Iterator[Message]:
    at = now - timedelta(days=rng.uniform(0.2, DAYS))
    known_on = rng.randint(1, 3) if rng.random() < 0.4 else 0
    for visit in range(1, rng.choice((1, 1, 2, 2, 3, 5)) + 1):
        for _ in range(rng.randint(1, 5)):
            if at >= now:
                return
            yield page_view(visitor, at, rng)
            at += timedelta(seconds=rng.uniform(20, 240))
        if visit == known_on and at < now:
            yield identify(visitor, at, rng)
            event = rng.choice(("Ebook Downloaded", "Webinar Registered", "Newsletter Subscribed"))
            yield track(visitor, at + timedelta(seconds=1), event, rng)
        at += timedelta(days=rng.uniform(0.5, 9))
