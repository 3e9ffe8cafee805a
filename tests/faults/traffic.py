"""What visitors do, drawn from a seed: pages, events, sign-ups, forms. Every item carries its own id."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

PATHS = ("/", "/pricing", "/product", "/customers", "/blog/leads", "/careers", "/docs/start")
EVENTS = ("Feature Used", "Ebook Downloaded", "Trial Started", "Product Added", "Email Clicked")
COUNTRIES = ("DE", "FR", "GB", "NZ", "US", "")
TITLES = ("CEO", "Head of Marketing", "Director of Sales", "Engineer", "Student", "")
LARGEST_BATCH = 150
# Of a hundred items this many cannot be read and belong into quarantine.
UNREADABLE_PERCENT = 1
AGAIN_PERCENT = 40


@dataclass(frozen=True, slots=True)
class Item:
    """One request: where to, what, and the ids by which its effects are recognised."""

    op: str
    path: str
    body: dict[str, Any]
    ids: tuple[str, ...]


class Visitors:
    """One client's visitors; no two clients share one. A person fills in a form now and then."""

    def __init__(self, seed: int, client: str, *, forms_percent: int) -> None:
        self._rng = random.Random(f"{seed} {client}")
        self._client = client
        self._forms_percent = forms_percent
        self._people = 0
        self._number = 0

    def items(self) -> Iterator[Item]:
        """Give requests without end."""
        while True:
            if self._rng.randrange(100) < self._forms_percent:
                yield self._form()
            else:
                yield self._batch()

    def _batch(self) -> Item:
        messages = [self._message() for _ in range(self._rng.randint(1, LARGEST_BATCH))]
        ids = tuple(message["messageId"] for message in messages)
        return Item("event", "/v1/batch", {"batch": messages}, ids)

    def _person(self, *, new: bool = False) -> int:
        """Return a person: mostly one of the latest, who so comes back a few times."""
        if new or not self._people or self._rng.randrange(100) < 3:
            self._people += 1
        return max(1, self._people - int(self._rng.expovariate(0.15)))

    def _id(self) -> str:
        self._number += 1
        return f"{self._client}-{self._number}"

    def _message(self) -> dict[str, Any]:
        if self._rng.randrange(100) < UNREADABLE_PERCENT:
            return {"type": "track", "event": "Nobody", "messageId": self._id()}
        person = self._person()
        visitor = f"{self._client}-v{person}-{self._rng.choice('ab')}"
        message: dict[str, Any] = {"messageId": self._id(), "anonymousId": visitor}
        kind = self._rng.randrange(20)
        if kind == 0:
            # The second address of a user joins two leads, one of which may be with a rep.
            user, email = f"{self._client}-u{person}", self._email(person, self._rng.choice(("", ".home")))
            return message | {"type": "identify", "userId": user, "traits": {"email": email}}
        if kind < 8:
            return message | {"type": "track", "event": self._rng.choice(EVENTS)}
        path = self._rng.choice(PATHS)
        page = {"path": path, "url": f"https://www.example.com{path}"}
        return message | {"type": "page", "context": {"page": page}}

    def _form(self) -> Item:
        # Who comes back with a form raises a hand again: so a lead that has cooled down qualifies anew.
        person = self._person(new=self._rng.randrange(100) >= AGAIN_PERCENT)
        token = f"form-{self._id()}"
        body = {
            "email": self._email(person, ""),
            "anonymous_id": f"{self._client}-v{person}-a",
            "company": self._rng.choice(("Example Ltd", "Acme GmbH")),
            "country": self._rng.choice(COUNTRIES),
            "title": self._rng.choice(TITLES),
            "message": f"Please show me a demo {token}",
            "submission_token": token,
        }
        return Item("form", "/v1/forms/website", {k: v for k, v in body.items() if v}, (token,))

    def _email(self, person: int, suffix: str) -> str:
        return f"p{person}{suffix}@{self._client}.example"
