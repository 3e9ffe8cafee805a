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

_EVENTS = uuid.UUID("6f0d7a52-6a4c-5d0e-9f6e-3b1f0c8f4f10").bytes
# The digit of a UUID that says variant RFC 9562 in its two upper bits, by the digit it replaces.
_VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}


def event_id(source: str, message_id: str) -> EventId:
    """Return the id of the event that `source` calls `message_id`: UUIDv5, the same for every retry."""
    text = _derived(f"{source}\x00{message_id}")
    return EventId(f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}")


def _derived(name: str) -> str:
    """Return the 32 digits of the UUIDv5 of a name, without the objects that `uuid.uuid5` makes."""
    text = sha1(_EVENTS + name.encode(), usedforsecurity=False).hexdigest()
    return f"{text[:12]}5{text[13:16]}{_VARIANT[text[16]]}{text[17:32]}"


def new_id(prefix: str) -> str:
    """Return a new random id such as `ld_1f0c…` (128 bits, lower-case hex)."""
    return f"{prefix}_{secrets.token_hex(16)}"


def new_lead_id() -> LeadId:
    return LeadId(new_id("ld"))


def new_submission_id() -> SubmissionId:
    return SubmissionId(new_id("sub"))


def handoff_id(lead_id: str, cycle: int, seq: int) -> HandoffId:
    """Return the id of the hand-off with key (lead, cycle, seq); derived, so a retry finds the same one."""
    return HandoffId("ho_" + _derived(f"{lead_id}\x00{cycle}\x00{seq}"))
