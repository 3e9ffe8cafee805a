"""Reading the shop's recorded web events and turning each row into the message its site would have sent.

Rows carry no message id: one is made from file and row. A row that repeats an earlier one of the same file
word for word is the same event sent twice, so it gets that row's id.
"""

import csv
import gzip
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

# The names under which Segment's e-commerce specification knows what the shop recorded.
TRACK_NAMES: Mapping[str, str] = {
    "product_added_to_cart": "Product Added",
    "checkout_started": "Checkout Started",
    "checkout_completed": "Order Completed",
    "email_filled_on_popup": "Email Popup Submitted",
}

# The shop's addresses are hashes; the reserved domain makes addresses of them that can never be mailed.
MAIL_DOMAIN = "shopper.example.com"


class NoEvents(ValueError):
    """The folder holds no `events_*.csv.gz` file with a readable row."""


@dataclass(frozen=True, slots=True)
class Row:
    """One recorded event: `number` counts data rows of `file` from 1."""

    file: str
    number: int
    values: Mapping[str, str]

    @property
    def at(self) -> datetime:
        return datetime.fromisoformat(self.values["timestamp"]).astimezone(UTC)


def read_rows(folder: Path) -> list[Row]:
    """Return all rows of `events_*.csv.gz` in `folder`, oldest file first; raise NoEvents without any."""
    rows = [row for file in sorted(folder.glob("events_*.csv.gz")) for row in _rows_of(file)]
    if not rows:
        raise NoEvents(f"no events_*.csv.gz with rows in {folder}")
    return rows


def _rows_of(file: Path) -> Iterator[Row]:
    with gzip.open(file, "rt", encoding="utf-8", newline="") as text:
        for number, values in enumerate(csv.DictReader(text), start=1):
            yield Row(file.name.removesuffix(".csv.gz"), number, values)


def shift_to(now: datetime, rows: Iterable[Row]) -> timedelta:
    """Return the constant that moves the last of `rows` to `now` (whole seconds, so that it can be typed)."""
    last = max(row.at for row in rows)
    return timedelta(seconds=int((now - last).total_seconds()))


def messages(rows: Iterable[Row], shift: timedelta) -> Iterator[dict[str, Any]]:
    """Yield one Segment message per row, its timestamp moved by `shift`."""
    first_seen: dict[tuple[str, bytes], int] = {}
    for row in rows:
        content = hashlib.sha256("\x00".join(row.values.values()).encode()).digest()
        number = first_seen.setdefault((row.file, content), row.number)
        yield _message(row, f"{row.file}:{number}", shift)


def _message(row: Row, message_id: str, shift: timedelta) -> dict[str, Any]:
    values = row.values
    details: dict[str, Any] = json.loads(values["event_data"]) if values["event_data"] else {}
    email = details.pop("user_email", None)
    context: dict[str, Any] = {
        "page": {"url": values["page_url"], "referrer": values["referrer"]},
        "userAgent": values["user_agent"],
    }
    if email:
        context["traits"] = {"email": f"{email}@{MAIL_DOMAIN}"}
    message: dict[str, Any] = {
        "messageId": message_id,
        "timestamp": (row.at + shift).isoformat(),
        "context": context,
        "properties": details,
    }
    visitor = values.get("client_id") or values.get("clientId")
    if visitor:
        message["anonymousId"] = visitor
    if values["event_name"] == "page_viewed":
        return message | {"type": "page", "properties": {"url": values["page_url"]}}
    name = TRACK_NAMES.get(values["event_name"], values["event_name"])
    return message | {"type": "track", "event": name}
