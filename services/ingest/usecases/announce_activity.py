"""An activity takes the shape of the message that scoring reads."""

from datetime import UTC
from functools import lru_cache

import msgspec

from services.ingest.domain.activity import Activity, Place
from services.ingest.domain.errors import Unmappable
from shared.bus.port import Outgoing
from shared.contracts.activity import (
    ID_BOUNDS,
    RECORDED,
    ActivityRecorded,
    Context,
    Person,
    is_id_too_long,
    partition_key,
)
from shared.contracts.envelope import Letterhead
from shared.contracts.topics import ACTIVITY
from shared.ids import event_id
from shared.outbox.append import OutboxEvent

# A consumer fetches some hundred messages at once.
MAX_MESSAGE_BYTES = 256 * 1024
# How senders call the ids.
_TRACKING_IDS = ("anonymousId", "userId", "previousId")
_FORM_IDS = ("anonymous_id", "user_id", "previous_id")
_encoder = msgspec.json.Encoder()


def to_message(activity: Activity, source: str) -> ActivityRecorded:
    """Return the message of an activity that came in through `source`; Unmappable where an id is too long."""
    _refuse_long_ids(activity)
    return ActivityRecorded(
        event_id=event_id(source, activity.message_id),
        source=source,
        message_id=activity.message_id,
        kind=activity.kind,
        name=activity.name,
        occurred_at=activity.occurred_at.astimezone(UTC),
        received_at=activity.received_at.astimezone(UTC),
        body_hash=activity.body_hash,
        anonymous_id=activity.anonymous_id,
        user_id=activity.user_id,
        previous_id=activity.previous_id,
        group_id=activity.group_id,
        properties=activity.properties,
        context=to_context(activity.place),
        person=Person(email=activity.email, phone=activity.phone, traits=activity.traits),
    )


def _refuse_long_ids(activity: Activity) -> None:
    """Raise Unmappable for an id that scoring could not store: here somebody is told, and may repair it."""
    names = _FORM_IDS if activity.kind == "form" else _TRACKING_IDS
    for told, name in zip(
        (activity.anonymous_id, activity.user_id, activity.previous_id), names, strict=True
    ):
        if told and is_id_too_long(told):
            raise Unmappable("id_too_long", f"{name} has more than {ID_BOUNDS}", f"/{name}")


def to_context(place: Place) -> Context:
    """Return the place as the message tells it."""
    return Context(
        url=place.url,
        path=place.path,
        referrer=place.referrer,
        title=place.title,
        campaign=dict(place.campaign),
        user_agent=place.user_agent,
        ip=place.ip,
        locale=place.locale,
    )


def to_outgoing(message: ActivityRecorded, *, epoch: int) -> Outgoing:
    """Return the message as the bus takes it; raise Unmappable where it is too large."""
    key = partition_key(message)
    headers = letterhead(message.source, epoch).headers(message.event_id, message.occurred_at, key)
    return Outgoing(topic=ACTIVITY.name, key=key, headers=headers, value=to_value(message))


@lru_cache(maxsize=1000)
def letterhead(source: str, epoch: int) -> Letterhead:
    """Return the headers that all activities of a source share."""
    return Letterhead(f"leadline/ingest/{source}", RECORDED, epoch)


def to_outbox(message: ActivityRecorded) -> OutboxEvent:
    """Return the message as the outbox takes it; raise Unmappable where it is too large."""
    return OutboxEvent(
        id=message.event_id,
        topic=ACTIVITY.name,
        type=RECORDED,
        key=partition_key(message),
        time=message.occurred_at,
        payload=to_value(message),
    )


def to_value(message: ActivityRecorded) -> bytes:
    """Return the message as JSON; raise Unmappable where it is too large."""
    payload = _encoder.encode(message)
    if len(payload) > MAX_MESSAGE_BYTES:
        raise Unmappable("too_large", f"the activity is larger than {MAX_MESSAGE_BYTES} bytes")
    return payload
