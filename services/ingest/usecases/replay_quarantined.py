"""Reads a parked item again, corrected or as it is: it becomes its activity, or stays parked."""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from services.ingest.domain.activity import Contact
from services.ingest.domain.errors import Malformed, Unmappable
from services.ingest.domain.form_body import read_body
from services.ingest.domain.form_fields import normalised
from services.ingest.domain.intake import Parked, Receipt
from services.ingest.domain.plain_values import Shape, encoded, parse_leniently
from services.ingest.domain.source import Sources
from services.ingest.domain.tracking import read_message
from services.ingest.usecases.announce_activity import to_message, to_outbox
from services.ingest.usecases.canonical import canonical
from services.ingest.usecases.ports import Intake
from services.ingest.usecases.submit_form import UNKNOWN_SOURCE, map_receipt
from shared.contracts.activity import ActivityRecorded


class NotHeld(Exception):
    """The item was replayed or discarded before."""

    def __init__(self, item: Parked) -> None:
        super().__init__(f"the item is already {item.state}")
        self.item = item


@dataclass(frozen=True, slots=True)
class Correction:
    """`body` replaces the item; `fields` are merged into it (RFC 7396: null removes)."""

    body: Any = None
    fields: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """How items are read again: by the rules of today, ids and times of then."""

    sources: Sources
    contact: Contact
    shape: Shape


async def replay_quarantined(
    item: Parked, intake: Intake, *, reading: Reading, actor: str, correction: Correction | None = None
) -> str:
    """Publish the activity of a locked, held item and return its event id; raise Unmappable or NotHeld."""
    if item.state != "held":
        raise NotHeld(item)
    body = corrected(item, correction) if correction else None
    message = read_again(item, body, reading)
    await intake.publish([to_outbox(message)])
    repaired = encoded(body) if body is not None else None
    await intake.release(item, event_id=message.event_id, repaired_body=repaired, actor=actor)
    if item.submission_id:
        await intake.settle(item.submission_id, "mapped", event_id=message.event_id)
    return message.event_id


def corrected(item: Parked, correction: Correction) -> Any:
    """Return the item's body with the correction made; raise Unmappable where there is none to correct."""
    if correction.body is not None:
        body: Any = correction.body
    else:
        body = _parsed(item)
    if correction.fields is None:
        return body
    if not isinstance(body, dict):
        raise Unmappable("malformed", "the item is no object, so that it must be replaced as a whole")
    if item.door == "form":
        # The same field in another spelling would still hold the fault.
        spelled = {normalised(name) for name in correction.fields}
        body = {name: value for name, value in body.items() if normalised(name) not in spelled}
        return {name: value for name, value in correction.fields.items() if value is not None} | body
    return merged(body, correction.fields)


def unread_fields(item: Parked, fields: Mapping[str, Any], sources: Sources) -> dict[str, str | None]:
    """Return those of `fields` that neither the form's source reads nor the item holds, with what was meant.

    They are slips, as `emal`: the item would be mapped without them.
    """
    source = sources.by_name.get(item.source)
    if item.door != "form" or source is None:
        return {}
    try:
        body = _parsed(item)
    except Unmappable:
        return {}
    known = source.names_read | (
        {normalised(str(name)) for name in body} if isinstance(body, dict) else set()
    )
    unread = [name for name in fields if name not in known and normalised(name) not in known]
    return {name: next(iter(get_close_matches(normalised(name), sorted(known), 1)), None) for name in unread}


def read_again(item: Parked, body: Any, reading: Reading) -> ActivityRecorded:
    """Return the activity of a parked item, with the ids and times it had when it came in."""
    if body is None:
        body = _parsed(item)
    if item.door == "tracking":
        step = item.doorstep
        activity = read_message(
            body,
            arrival=step.arrival,
            contact=reading.contact,
            shape=reading.shape,
            canonical=canonical,
            kind=step.kind,
            sent_at=step.sent_at,
            trust_clock=step.trust_clock,
        )
        return to_message(activity._replace(message_id=item.message_id), item.source)
    source = reading.sources.by_name.get(item.source)
    if source is None:
        raise Unmappable(UNKNOWN_SOURCE, "no source of this name is configured")
    if not isinstance(body, dict):
        raise Unmappable("malformed", "the body is not an object")
    receipt = Receipt(
        submission_id=item.submission_id or item.id,
        source=item.source,
        message_id=item.message_id,
        raw=item.body,
        headers={},
        doorstep=item.doorstep,
    )
    return map_receipt(receipt, body, source, contact=reading.contact, shape=reading.shape)


def merged(body: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """Return the body with a JSON merge patch applied. Source: RFC 7396."""
    result = dict(body)
    for name, value in patch.items():
        current = result.get(name)
        if value is None:
            result.pop(name, None)
        elif isinstance(value, dict):
            result[name] = merged(current if isinstance(current, dict) else {}, value)
        else:
            result[name] = value
    return result


def _parsed(item: Parked) -> Any:
    try:
        if item.door == "tracking":
            return parse_leniently(item.body)
        return read_body(item.body)
    except Malformed as bad:
        raise Unmappable("malformed", str(bad)) from bad
