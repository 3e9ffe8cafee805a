"""Segment-shaped messages become activities."""

from collections.abc import Callable
from datetime import datetime
from hashlib import sha256
from typing import Any, cast
from urllib.parse import parse_qsl, urlsplit

from services.ingest.domain.activity import Activity, Arrival, Contact, Kind, Place
from services.ingest.domain.clock_skew import occurred_at
from services.ingest.domain.errors import Unmappable
from services.ingest.domain.plain_values import Shape, encoded, plain, surely_plain, text_or_none

KINDS: frozenset[str] = frozenset({"track", "identify", "page", "screen", "group", "alias"})
MAX_MESSAGE_ID = 100
# What differs between two attempts to send the same message.
_PER_ATTEMPT = frozenset({"sentAt", "_metadata", "writeKey"})
# What the messages of a batch share.
ENVELOPE = ("context", "integrations")
# Parsed JSON as bytes, the same for every order of its keys; see `surely_plain` for how it spells.
Canonical = Callable[[Any], bytes]
_CAMPAIGN = ("name", "source", "medium", "term", "content")


def with_envelope(messages: list[Any], envelope: dict[str, Any]) -> list[Any]:
    """Return a batch's messages with its context and integrations under their own."""
    shared = {part: outer for part in ENVELOPE if isinstance(outer := envelope.get(part), dict) and outer}
    if not shared:
        return messages
    return [_merged(item, shared) if isinstance(item, dict) else item for item in messages]


def _merged(message: dict[str, Any], shared: dict[str, dict[str, Any]]) -> dict[str, Any]:
    merged = dict(message)
    for part, outer in shared.items():
        inner = message.get(part)
        merged[part] = {**outer, **inner} if isinstance(inner, dict) else outer
    return merged


def body_hash(message: Any, canonical: Canonical = encoded) -> str:
    """Return the hex SHA-256 of the message, the same for every attempt to send it."""
    return sha256(canonical(lasting_part(message))).hexdigest()


def lasting_part(message: Any) -> Any:
    """Return the message without what differs between two attempts to send it."""
    if not isinstance(message, dict) or _PER_ATTEMPT.isdisjoint(message):
        return message
    return {key: value for key, value in message.items() if key not in _PER_ATTEMPT}


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
    canonical: Canonical = encoded,
    kind: str | None = None,
    sent_at: Any = None,
    trust_clock: bool = False,
) -> Activity:
    """Return the activity that a message tells of; raise Unmappable saying why there is none.

    `kind` is the door's where it has one; `sent_at` is the envelope's, the message's own goes before it.
    """
    if not isinstance(message, dict):
        raise Unmappable("not_an_object", "the item is not a JSON object")
    lasting = lasting_part(message)
    spelled = canonical(lasting)
    hashed = sha256(spelled).hexdigest()
    told: dict[str, Any] = message
    if not surely_plain(spelled if lasting is message else canonical(message), shape):
        told = plain(message, shape)
    found = kind or told.get("type")
    if not isinstance(found, str) or found not in KINDS:
        raise Unmappable(
            "unknown_type", "type is none of track, identify, page, screen, group, alias", "/type"
        )
    happened = occurred_at(
        told, told.get("sentAt") or sent_at, received_at=arrival.received_at, trust_clock=trust_clock
    )
    return _activity(told, cast("Kind", found), contact, message_id(told, hashed), hashed, happened, arrival)


def _activity(
    message: dict[str, Any],
    kind: Kind,
    contact: Contact,
    message_id: str,
    hashed: str,
    happened: datetime,
    arrival: Arrival,
) -> Activity:
    tell = message.get
    context, properties = _object(tell("context")), _object(tell("properties"))
    traits = _traits(kind, _object(context.get("traits")), _object(tell("traits")))
    user_id, anonymous_id = text_or_none(tell("userId")), text_or_none(tell("anonymousId"))
    email = _email(traits, user_id, contact)
    if not (anonymous_id or user_id or email):
        raise Unmappable("no_identity", "none of anonymousId, userId, e-mail is given", "/anonymousId")
    return Activity(
        kind=kind,
        name=name_of(kind, message, properties),
        message_id=message_id,
        occurred_at=happened,
        received_at=arrival.received_at,
        body_hash=hashed,
        anonymous_id=anonymous_id,
        user_id=user_id,
        previous_id=_previous_id(kind, tell("previousId"), user_id or anonymous_id),
        group_id=_group_id(kind, tell("groupId"), context),
        email=email,
        phone=_phone(traits, contact),
        traits=traits,
        properties=_object(tell("traits")) if kind == "group" else properties,
        place=place_of(kind, context, properties, arrival),
    )


def name_of(kind: Kind, message: dict[str, Any], properties: dict[str, Any]) -> str:
    """Return what the activity is called, empty where it has no name; a track without one is Unmappable."""
    if kind == "track":
        name = text_or_none(message.get("event"))
        if name is None:
            raise Unmappable("missing_event", "a track message needs an event name", "/event")
        return name
    return text_or_none(message.get("name")) or text_or_none(properties.get("name")) or ""


def _previous_id(kind: Kind, told: Any, current: str | None) -> str | None:
    previous = text_or_none(told)
    if kind == "alias" and (previous is None or current is None):
        raise Unmappable("missing_previous_id", "an alias needs previousId and userId", "/previousId")
    return previous


def _group_id(kind: Kind, told: Any, context: dict[str, Any]) -> str | None:
    group = text_or_none(told)
    if kind == "group" and group is None:
        raise Unmappable("missing_group_id", "a group message needs groupId", "/groupId")
    return group or text_or_none(context.get("groupId"))


def _traits(kind: Kind, known: dict[str, Any], told: dict[str, Any]) -> dict[str, Any]:
    """Return the person's traits; what a group message tells is about the company."""
    if not told:
        return known
    if kind == "group":
        return {**known, "company": {**_object(known.get("company")), **told}}
    return {**known, **told}


def _email(traits: dict[str, Any], user_id: str | None, contact: Contact) -> str | None:
    # Not from properties: an event may well name somebody else's address.
    value = traits.get("email")
    email = contact.email(value) if isinstance(value, str) else None
    return email or (contact.email(user_id) if user_id and "@" in user_id else None)


def _phone(traits: dict[str, Any], contact: Contact) -> str | None:
    value = text_or_none(traits.get("phone"))
    return contact.phone(value, None) if value else None


def place_of(kind: Kind, context: dict[str, Any], properties: dict[str, Any], arrival: Arrival) -> Place:
    """Return where it happened: as the context tells, a page's own properties, a browser's request."""
    tell = context.get
    page = _object(tell("page"))
    if kind == "page":
        page = {**page, **{key: properties[key] for key in page_keys(properties)}}
    url = text_or_none(page.get("url")) if page else None
    agent, ip, locale = (
        text_or_none(tell("userAgent")),
        text_or_none(tell("ip")),
        text_or_none(tell("locale")),
    )
    if arrival.browser:
        agent, ip, locale = agent or arrival.user_agent, ip or arrival.ip, locale or arrival.locale
    elif tell("direct") is True:
        ip = ip or arrival.ip
    return Place(
        url=url,
        path=(text_or_none(page.get("path")) if page else None) or (path_of(url) if url else None),
        referrer=text_or_none(page.get("referrer")) if page else None,
        title=text_or_none(page.get("title")) if page else None,
        campaign=campaign_of(_object(tell("campaign")), url) if url or "campaign" in context else {},
        user_agent=agent,
        ip=ip,
        locale=locale,
    )


def page_keys(properties: dict[str, Any]) -> list[str]:
    """Return which of a page's own properties say where it is."""
    return [key for key in ("url", "path", "referrer", "title") if text_or_none(properties.get(key))]


def campaign_of(told: dict[str, Any], url: str | None) -> dict[str, str]:
    """Return name, source, medium, term and content as told, else from the `utm_*` of the address."""
    campaign = {key: text for key in told if key in _CAMPAIGN and (text := text_or_none(told[key]))}
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
