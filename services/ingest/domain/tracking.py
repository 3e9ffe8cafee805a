"""Segment-shaped messages become activities."""

from hashlib import sha256
from typing import Any, cast
from urllib.parse import parse_qsl, urlsplit

from services.ingest.domain.activity import Activity, Arrival, Contact, Kind, Place
from services.ingest.domain.clock_skew import occurred_at
from services.ingest.domain.errors import Unmappable
from services.ingest.domain.plain_values import Shape, digest, plain, text_or_none

KINDS: frozenset[str] = frozenset({"track", "identify", "page", "screen", "group", "alias"})
MAX_MESSAGE_ID = 100
# What differs between two attempts to send the same message.
_PER_ATTEMPT = frozenset({"sentAt", "_metadata", "writeKey"})
# What the messages of a batch share.
ENVELOPE = ("context", "integrations")
_CAMPAIGN = ("name", "source", "medium", "term", "content")


def with_envelope(message: dict[str, Any], envelope: dict[str, Any]) -> dict[str, Any]:
    """Return the message with the batch's context and integrations under its own."""
    merged = dict(message)
    for part in ENVELOPE:
        outer, inner = envelope.get(part), message.get(part)
        if isinstance(outer, dict) and outer:
            merged[part] = {**outer, **inner} if isinstance(inner, dict) else outer
    return merged


def body_hash(message: Any) -> str:
    """Return the hex SHA-256 of the message, the same for every attempt to send it."""
    if isinstance(message, dict):
        message = {key: value for key, value in message.items() if key not in _PER_ATTEMPT}
    return digest(message)


def message_id(message: Any, hashed: str) -> str:
    """Return the sender's message id, or one derived from the body hash, so that a retry finds the same."""
    told = text_or_none(message.get("messageId")) if isinstance(message, dict) else None
    if told is None:
        return f"body-{hashed}"
    return told if len(told) <= MAX_MESSAGE_ID else f"long-{sha256(told.encode()).hexdigest()}"


def read_message(
    message: Any,
    *,
    arrival: Arrival,
    contact: Contact,
    shape: Shape,
    kind: str | None = None,
    sent_at: Any = None,
    trust_clock: bool = False,
) -> Activity:
    """Return the activity that a message tells of; raise Unmappable saying why there is none.

    `kind` is the door's where it has one; `sent_at` is the envelope's, the message's own goes before it.
    """
    if not isinstance(message, dict):
        raise Unmappable("not_an_object", "the item is not a JSON object")
    hashed = body_hash(message)
    told = cast("dict[str, Any]", plain(message, shape))
    found = kind or told.get("type")
    if not isinstance(found, str) or found not in KINDS:
        raise Unmappable(
            "unknown_type", "type is none of track, identify, page, screen, group, alias", "/type"
        )
    happened = occurred_at(
        told, told.get("sentAt") or sent_at, received_at=arrival.received_at, trust_clock=trust_clock
    )
    return _Reader(told, cast("Kind", found), contact).activity(
        message_id(told, hashed), hashed, happened, arrival
    )


class _Reader:
    def __init__(self, message: dict[str, Any], kind: Kind, contact: Contact) -> None:
        self._message = message
        self._kind = kind
        self._contact = contact
        self._context = _object(message.get("context"))
        self._properties = _object(message.get("properties"))

    def activity(self, message_id: str, hashed: str, happened: Any, arrival: Arrival) -> Activity:
        traits = self._traits()
        user_id = text_or_none(self._message.get("userId"))
        email = self._email(traits) or (self._contact.email(user_id) if user_id and "@" in user_id else None)
        anonymous_id = text_or_none(self._message.get("anonymousId"))
        if not (anonymous_id or user_id or email):
            raise Unmappable("no_identity", "none of anonymousId, userId, e-mail is given", "/anonymousId")
        return Activity(
            kind=self._kind,
            name=self._name(),
            message_id=message_id,
            occurred_at=happened,
            received_at=arrival.received_at,
            body_hash=hashed,
            anonymous_id=anonymous_id,
            user_id=user_id,
            previous_id=self._previous_id(user_id or anonymous_id),
            group_id=self._group_id(),
            email=email,
            phone=self._phone(traits),
            traits=traits,
            properties=_object(self._message.get("traits")) if self._kind == "group" else self._properties,
            place=self._place(arrival),
        )

    def _name(self) -> str:
        if self._kind == "track":
            name = text_or_none(self._message.get("event"))
            if name is None:
                raise Unmappable("missing_event", "a track message needs an event name", "/event")
            return name
        told = text_or_none(self._message.get("name")) or text_or_none(self._properties.get("name"))
        return told or ""

    def _previous_id(self, current: str | None) -> str | None:
        previous = text_or_none(self._message.get("previousId"))
        if self._kind == "alias" and (previous is None or current is None):
            raise Unmappable("missing_previous_id", "an alias needs previousId and userId", "/previousId")
        return previous

    def _group_id(self) -> str | None:
        group = text_or_none(self._message.get("groupId"))
        if self._kind == "group" and group is None:
            raise Unmappable("missing_group_id", "a group message needs groupId", "/groupId")
        return group or text_or_none(self._context.get("groupId"))

    def _traits(self) -> dict[str, Any]:
        """Return the person's traits; what a group message tells is about the company."""
        known = _object(self._context.get("traits"))
        told = _object(self._message.get("traits"))
        if self._kind == "group":
            return {**known, "company": {**_object(known.get("company")), **told}} if told else known
        return {**known, **told}

    def _email(self, traits: dict[str, Any]) -> str | None:
        # Not from properties: an event may well name somebody else's address.
        value = traits.get("email")
        return self._contact.email(value) if isinstance(value, str) else None

    def _phone(self, traits: dict[str, Any]) -> str | None:
        value = text_or_none(traits.get("phone"))
        return self._contact.phone(value, None) if value else None

    def _place(self, arrival: Arrival) -> Place:
        page = _object(self._context.get("page"))
        if self._kind == "page":
            page = {**page, **{key: self._properties[key] for key in page_keys(self._properties)}}
        url = text_or_none(page.get("url"))
        direct = arrival.browser or self._context.get("direct") is True
        return Place(
            url=url,
            path=text_or_none(page.get("path")) or (path_of(url) if url else None),
            referrer=text_or_none(page.get("referrer")),
            title=text_or_none(page.get("title")),
            campaign=campaign_of(_object(self._context.get("campaign")), url),
            user_agent=text_or_none(self._context.get("userAgent"))
            or (arrival.user_agent if arrival.browser else None),
            ip=text_or_none(self._context.get("ip")) or (arrival.ip if direct else None),
            locale=text_or_none(self._context.get("locale")) or (arrival.locale if arrival.browser else None),
        )


def page_keys(properties: dict[str, Any]) -> list[str]:
    """Return which of a page's own properties say where it is."""
    return [key for key in ("url", "path", "referrer", "title") if text_or_none(properties.get(key))]


def campaign_of(told: dict[str, Any], url: str | None) -> dict[str, str]:
    """Return name, source, medium, term and content as told, else from the `utm_*` of the address."""
    campaign = {key: text for key in _CAMPAIGN if (text := text_or_none(told.get(key)))}
    if campaign or not url or "utm_" not in url:
        return campaign
    try:
        query = dict(parse_qsl(urlsplit(url).query, max_num_fields=100))
    except ValueError:
        return {}
    named = {"name": query.get("utm_campaign")} | {key: query.get(f"utm_{key}") for key in _CAMPAIGN[1:]}
    return {key: value for key, value in named.items() if value}


def path_of(url: str) -> str | None:
    """Return the path of an address, None where it has none."""
    try:
        return urlsplit(url).path or None
    except ValueError:
        return None


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
