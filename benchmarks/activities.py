"""Backlogs of activity as they lie on the topic, the same in every run but for their instants."""

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import msgspec

from shared.contracts.activity import ActivityRecorded, Context, Person
from shared.ids import event_id

AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130 Safari/537.36"
PATHS = ("/", "/pricing", "/product/tour", "/blog/one", "/docs/start", "/contact")


def _activity(number: int, person: int, at: datetime, path: str, *, form: bool, user: bool) -> bytes:
    """Return one activity as it lies on the topic."""
    known = Person(f"p{person}@company{person % 997}.example", None, {"title": "VP Sales"})
    return msgspec.json.encode(
        ActivityRecorded(
            event_id=event_id("bench", str(number)),
            source="bench",
            message_id=str(number),
            kind="form" if form else "page",
            name="demo" if form else "Page",
            occurred_at=at,
            received_at=at,
            body_hash=f"{number:064x}",
            anonymous_id=f"anon-{person}",
            user_id=f"user-{person}" if user else None,
            context=Context(path=path, user_agent=AGENT),
            person=known if form else Person(),
        )
    )


def scattered(events: int) -> list[bytes]:
    """Return 70 % anonymous page views, 25 % of known users, 5 % forms, of 5,000 people in 20 days."""
    draw, now = random.Random(1), datetime.now(UTC)
    made = []
    for number in range(events):
        at, kind = now - timedelta(seconds=draw.randrange(20 * 86400)), draw.random()
        path, person = draw.choice(PATHS), draw.randrange(5_000)
        made.append(_activity(number, person, at, path, form=kind >= 0.95, user=0.7 <= kind < 0.95))
    return made


def visitors(events: int) -> list[bytes]:
    """Return sessions of about ten events, a minute apart, 200 visitors at a time."""
    draw = random.Random(2)
    at = datetime.now(UTC) - timedelta(seconds=events)
    present, arrived, made = list(range(200)), 200, []
    for number in range(events):
        slot = draw.randrange(len(present))
        at += timedelta(seconds=draw.random())
        form = draw.random() < 0.02
        made.append(_activity(number, present[slot], at, draw.choice(PATHS), form=form, user=False))
        if draw.random() < 0.1:
            present[slot], arrived = arrived, arrived + 1
    return made


MIXES: dict[str, Callable[[int], list[bytes]]] = {"visitors": visitors, "scattered": scattered}
