"""An activity as ingest understands it, before it takes the shape of a message."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

Kind = Literal["track", "identify", "page", "screen", "group", "alias", "form"]

# Canonical e-mail, or None where it is none.
CanonicalEmail = Callable[[str], str | None]
# Canonical (E.164) phone number read as dialled in the region (ISO 3166, None: international only), or None.
CanonicalPhone = Callable[[str, str | None], str | None]


@dataclass(frozen=True, slots=True)
class Contact:
    """How e-mail addresses and phone numbers are brought to one spelling."""

    email: CanonicalEmail
    phone: CanonicalPhone


@dataclass(frozen=True, slots=True)
class Arrival:
    """How a request came in. `browser`: a page sent it, so that address and agent are a visitor's."""

    received_at: datetime
    ip: str | None = None
    user_agent: str | None = None
    referrer: str | None = None
    locale: str | None = None
    browser: bool = False


class Place(NamedTuple):
    """Where it happened, on the web."""

    url: str | None = None
    path: str | None = None
    referrer: str | None = None
    title: str | None = None
    campaign: Mapping[str, str] = MappingProxyType({})
    user_agent: str | None = None
    ip: str | None = None
    locale: str | None = None


NOWHERE = Place()


class Activity(NamedTuple):
    """One activity of one person; `occurred_at` is skew-corrected and never after `received_at`."""

    kind: Kind
    name: str
    message_id: str
    occurred_at: datetime
    received_at: datetime
    body_hash: str
    traits: dict[str, Any]
    properties: dict[str, Any]
    anonymous_id: str | None = None
    user_id: str | None = None
    previous_id: str | None = None
    group_id: str | None = None
    email: str | None = None
    phone: str | None = None
    place: Place = NOWHERE
