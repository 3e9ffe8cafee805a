"""Typed ids and how they are made. Ids are text; those that must repeat are derived, not drawn."""

import secrets
import uuid
from hashlib import sha1
from typing import NewType

EventId = NewType("EventId", str)
LeadId = NewType("LeadId", str)
HandoffId = NewType("HandoffId", str)
PersonId = NewType("PersonId", str)
TeamId = NewType("TeamId", str)
SubmissionId = NewType("SubmissionId", str)

_EVENTS = uuid.UUID("6f0d7a52-6a4c-5d0e-9f6e-3b1f0c8f4f10")
_EVENTS_BYTES = _EVENTS.bytes
# The bits of a UUID that say version 5 and variant RFC 9562, and all others.
_VERSION_5 = (5 << 76) | (0b10 << 62)
_NOT_FIXED = (1 << 128) - 1 - (0xF << 76) - (0b11 << 62)


def event_id(source: str, message_id: str) -> EventId:
    """Return the id of the event that `source` calls `message_id`: UUIDv5, the same for every retry."""
    # `uuid.uuid5` without its objects: every event that comes in has one made.
    digest = sha1(_EVENTS_BYTES + f"{source}\x00{message_id}".encode(), usedforsecurity=False).digest()
    number = int.from_bytes(digest[:16]) & _NOT_FIXED | _VERSION_5
    text = f"{number:032x}"
    return EventId(f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}")


def new_id(prefix: str) -> str:
    """Return a new random id such as `ld_1f0c…` (128 bits, lower-case hex)."""
    return f"{prefix}_{secrets.token_hex(16)}"


def new_lead_id() -> LeadId:
    return LeadId(new_id("ld"))


def new_submission_id() -> SubmissionId:
    return SubmissionId(new_id("sub"))


def handoff_id(lead_id: str, cycle: int, seq: int) -> HandoffId:
    """Return the id of the hand-off with key (lead, cycle, seq); derived, so a retry finds the same one."""
    return HandoffId("ho_" + uuid.uuid5(_EVENTS, f"{lead_id}\x00{cycle}\x00{seq}").hex)
