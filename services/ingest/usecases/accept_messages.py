"""Accepts tracking messages one by one: the good go to the bus, the others to quarantine."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

import msgspec

from services.ingest.domain.activity import Contact
from services.ingest.domain.errors import Unmappable
from services.ingest.domain.intake import Doorstep, Parked
from services.ingest.domain.plain_values import Shape, encoded, size_of
from services.ingest.domain.tracking import body_hash, message_id, read_message
from services.ingest.usecases.announce_activity import to_message, to_outgoing
from services.ingest.usecases.canonical import canonical
from services.ingest.usecases.plain_message import PlainReader
from services.ingest.usecases.ports import IntakeStore, Log, Reserve, StoreUnavailable
from shared.bus.port import Outgoing
from shared.contracts.activity import ActivityRecorded


@dataclass(frozen=True, slots=True)
class Rules:
    """How tracking messages are read. `max_event_bytes` is the largest single message."""

    contact: Contact
    shape: Shape
    max_event_bytes: int


@dataclass(frozen=True, slots=True)
class Held:
    """One item of a batch that was parked: where it stood, and why."""

    index: int
    item: Parked


@dataclass(frozen=True, slots=True)
class Sorted:
    """A batch, sorted: `good` as the bus takes them, the rest held."""

    good: Sequence[Outgoing]
    held: Sequence[Held]


def sort_messages(
    messages: Sequence[Any], *, source: str, doorstep: Doorstep, rules: Rules, body_bytes: int, epoch: int
) -> Sorted:
    """Read each message. `body_bytes`, the size of the request, saves measuring small messages."""
    good: list[Outgoing] = []
    held: list[Held] = []
    measure = body_bytes > rules.max_event_bytes
    short = PlainReader(source, doorstep, rules.shape, max_bytes=rules.max_event_bytes, epoch=epoch)
    for index, message in enumerate(messages):
        if outgoing := short.read(message):
            good.append(outgoing)
            continue
        try:
            if measure:
                _check_size(message, rules.max_event_bytes)
            good.append(to_outgoing(_read(message, source, doorstep, rules), epoch=epoch))
        except Unmappable as fault:
            held.append(Held(index, _parked(message, source, doorstep, fault)))
    return Sorted(good, held)


async def accept_messages(
    batch: Sorted, *, log: Log, store: IntakeStore, reserve: Reserve | None = None
) -> None:
    """Make every item of the batch durable, or raise: BusUnavailable, StoreUnavailable."""
    if batch.held:
        await _hold([held.item for held in batch.held], store, reserve)
    if batch.good:
        await log.append(batch.good)


async def _hold(items: Sequence[Parked], store: IntakeStore, reserve: Reserve | None) -> None:
    try:
        async with store.transaction() as intake:
            await intake.park(items)
    except StoreUnavailable:
        if reserve is None:
            raise
        await reserve.keep_parked(items)


def _read(message: Any, source: str, doorstep: Doorstep, rules: Rules) -> ActivityRecorded:
    try:
        activity = read_message(
            message,
            arrival=doorstep.arrival,
            contact=rules.contact,
            shape=rules.shape,
            canonical=canonical,
            kind=doorstep.kind,
            sent_at=doorstep.sent_at,
            trust_clock=doorstep.trust_clock,
        )
        return to_message(activity, source)
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError) as bug:
        # A fault of ours must not cost the event, nor the others of its batch.
        raise Unmappable("mapping_failed", f"the mapping failed ({type(bug).__name__})") from bug


def _parked(message: Any, source: str, doorstep: Doorstep, fault: Unmappable) -> Parked:
    hashed = body_hash(message, canonical)
    # Derived, so that the retry of a batch parks nothing twice.
    identity = sha256(f"{source}\x00{doorstep.kind}\x00{hashed}".encode()).hexdigest()
    if isinstance(message, dict) and "sentAt" in message:
        doorstep = replace(doorstep, sent_at=message["sentAt"])
    return Parked(
        id=f"q_{identity[:32]}",
        door="tracking",
        source=source,
        message_id=message_id(message, hashed),
        code=fault.code,
        detail=fault.detail,
        pointer=fault.pointer,
        body=encoded(message),
        doorstep=doorstep,
    )


def _check_size(message: Any, limit: int) -> None:
    try:
        size = len(msgspec.json.encode(message))
    except (msgspec.MsgspecError, ValueError, OverflowError, RecursionError, TypeError):
        size = size_of(message)
    if size > limit:
        raise Unmappable("too_large", f"the item is larger than {limit} bytes")
