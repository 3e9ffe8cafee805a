"""The short reading of what most messages are; of whatever it is not sure, it leaves to the complete one.

Both give the same bytes: docs/decisions/0035-two-readings-of-a-message.md.
"""

from datetime import UTC
from hashlib import sha256
from typing import Any

from services.ingest.domain.activity import Arrival
from services.ingest.domain.clock_skew import occurred_at
from services.ingest.domain.errors import Unmappable
from services.ingest.domain.intake import Doorstep
from services.ingest.domain.plain_values import Shape
from services.ingest.domain.tracking import MAX_MESSAGE_ID, lasting_part, name_of, place_of
from services.ingest.usecases.announce_activity import letterhead, to_context, to_value
from services.ingest.usecases.canonical import plain_canonical
from shared.bus.port import Outgoing
from shared.contracts.activity import ActivityRecorded, Context, Person, is_id_too_long
from shared.contracts.topics import ACTIVITY
from shared.ids import event_id

_KINDS = frozenset({"track", "page", "screen", "identify"})
# Ids that only some kinds have take the complete reading, and so do traits by which people are reached.
_MORE = frozenset({"previousId", "groupId"})
_CONTACT = frozenset({"email", "phone"})
# What in a context tells where it happened.
_PLACE = frozenset({"page", "campaign", "userAgent", "ip", "locale", "direct"})
# One encoder may spell a number with so many times the bytes of another.
_SPELLINGS = 8
_NOTHING: dict[str, Any] = {}
_UNNAMED = Person()
_NOWHERE = Context()


class PlainReader:
    """Reads the messages of one request. `max_bytes`: the largest single message."""

    def __init__(self, source: str, doorstep: Doorstep, shape: Shape, *, max_bytes: int, epoch: int) -> None:
        self._source = source
        self._door = doorstep
        self._arrival = doorstep.arrival
        self._received_at = doorstep.arrival.received_at.astimezone(UTC)
        self._max_depth = shape.max_depth
        # A value takes at least a byte, so that what is shorter has neither too many nor too large ones.
        self._max_bytes = min(shape.max_values, max_bytes // _SPELLINGS)
        self._letterhead = letterhead(source, epoch)
        self._nowhere = _nowhere(doorstep.arrival)

    def read(self, message: Any) -> Outgoing | None:
        """Return the message as the bus takes it; None where the complete reading has to look."""
        if type(message) is not dict or not _MORE.isdisjoint(message):
            return None
        try:
            hashed = self._hash(message)
            recorded = self._recorded(message, hashed) if hashed else None
            return self._outgoing(recorded) if recorded else None
        except (Unmappable, ValueError, TypeError, LookupError, AttributeError, ArithmeticError):
            return None

    def _hash(self, message: dict[str, Any]) -> str | None:
        """Return the body hash where the message is small and `plain` would leave all of it as it is."""
        spelled = plain_canonical(message)
        if (
            len(spelled) > self._max_bytes
            or b"\\u" in spelled
            or spelled.count(b"{") + spelled.count(b"[") > self._max_depth
        ):
            return None
        lasting = lasting_part(message)
        return sha256(spelled if lasting is message else plain_canonical(lasting)).hexdigest()

    def _recorded(self, message: dict[str, Any], hashed: str) -> ActivityRecorded | None:
        tell, door = message.get, self._door
        kind: Any = door.kind or tell("type")
        told_id = tell("messageId")
        anonymous_id, user_id = tell("anonymousId"), tell("userId")
        context, properties = tell("context"), tell("properties")
        if (
            kind not in _KINDS
            or type(told_id) is not str
            or not (type(anonymous_id) is str or anonymous_id is None)
            or not ((type(user_id) is str and "@" not in user_id) or user_id is None)
            or not ((type(context) is dict and "groupId" not in context) or context is None)
            or not (type(properties) is dict or properties is None)
        ):
            return None
        anonymous_id, user_id = anonymous_id and anonymous_id.strip(), user_id and user_id.strip()
        told_id, context, properties = told_id.strip(), context or _NOTHING, properties or _NOTHING
        person = self._person(context.get("traits"), tell("traits"))
        if not (anonymous_id or user_id) or not 0 < len(told_id) <= MAX_MESSAGE_ID or not person:
            return None
        # Together they are seldom longer than one may be; the complete reading says which is too long.
        if is_id_too_long(f"{anonymous_id}{user_id}"):
            return None
        return ActivityRecorded(
            event_id=event_id(self._source, told_id),
            source=self._source,
            message_id=told_id,
            kind=kind,
            name=name_of(kind, message, properties),
            occurred_at=occurred_at(
                message,
                tell("sentAt") or door.sent_at,
                received_at=self._received_at,
                trust_clock=door.trust_clock,
            ),
            received_at=self._received_at,
            body_hash=hashed,
            anonymous_id=anonymous_id or None,
            user_id=user_id or None,
            properties=properties,
            context=self._context(kind, context, properties),
            person=person,
        )

    @staticmethod
    def _person(known: Any, told: Any) -> Person | None:
        if not known and not told:
            return _UNNAMED
        known, told = known or _NOTHING, told or _NOTHING
        if type(known) is not dict or type(told) is not dict:
            return None
        traits = {**known, **told}
        return Person(traits=traits) if _CONTACT.isdisjoint(traits) else None

    def _context(self, kind: Any, context: dict[str, Any], properties: dict[str, Any]) -> Context:
        if kind != "page" and _PLACE.isdisjoint(context):
            return self._nowhere
        return to_context(place_of(kind, context, properties, self._arrival))

    def _outgoing(self, recorded: ActivityRecorded) -> Outgoing:
        key = recorded.anonymous_id or recorded.user_id or ""
        headers = self._letterhead.headers(recorded.event_id, recorded.occurred_at, key)
        return Outgoing(ACTIVITY.name, key, headers, to_value(recorded))


def _nowhere(arrival: Arrival) -> Context:
    """Return the context of a message that tells no place of its own."""
    if not arrival.browser:
        return _NOWHERE
    return Context(user_agent=arrival.user_agent, ip=arrival.ip, locale=arrival.locale)
