"""What ingest tells scoring: one recorded activity of one person. Topic `leadline.activity`."""

from datetime import datetime
from typing import Any, Literal

import msgspec

RECORDED = "leadline.activity.recorded.v1"

# Longest id of a person. An entry of an index takes 2,700 bytes, and scoring has indexes over two ids.
MAX_ID = 500  # characters
MAX_ID_BYTES = 1000
ID_BOUNDS = f"{MAX_ID} characters or {MAX_ID_BYTES} bytes"
_SURELY_FITS = MAX_ID_BYTES // 4

Kind = Literal["track", "identify", "page", "screen", "group", "alias", "form"]


# `gc=False`: JSON is a tree, so that there is no cycle to look for.
class Person(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Personal data, apart from the rest. `traits` are as sent; `email` and `phone` are already canonical."""

    email: str | None = None
    phone: str | None = None
    traits: dict[str, Any] = {}


class Context(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Where it happened. `campaign` holds name, source, medium, term, content."""

    url: str | None = None
    path: str | None = None
    referrer: str | None = None
    title: str | None = None
    campaign: dict[str, str] = {}
    user_agent: str | None = None
    ip: str | None = None
    locale: str | None = None


class ActivityRecorded(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One activity. `occurred_at` is skew-corrected and never after `received_at`; both aware UTC.

    `event_id` is `shared.ids.event_id(source, message_id)`. `body_hash` (hex SHA-256 of the event as sent)
    breaks ties between two bodies under one id. `name` is the event name of a track, the page name of a
    page, the form's source name of a form. At least one of anonymous_id, user_id, person.email is set.
    """

    event_id: str
    source: str
    message_id: str
    kind: Kind
    name: str
    occurred_at: datetime
    received_at: datetime
    body_hash: str
    anonymous_id: str | None = None
    user_id: str | None = None
    previous_id: str | None = None
    group_id: str | None = None
    properties: dict[str, Any] = {}
    context: Context = Context()
    person: Person = Person()


def is_id_too_long(text: str) -> bool:
    """Return whether a text is too long to be an id of a person; ingest and scoring ask the same."""
    if len(text) <= _SURELY_FITS:
        return False
    return len(text) > MAX_ID or (not text.isascii() and len(text.encode()) > MAX_ID_BYTES)


def partition_key(activity: ActivityRecorded) -> str:
    """Return the message key: anonymous id, else user id, else e-mail."""
    return activity.anonymous_id or activity.user_id or activity.person.email or activity.event_id
