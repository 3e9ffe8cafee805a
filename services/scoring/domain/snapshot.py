"""When a new snapshot of a lead is due: only when it tells routing something, and somebody could be contacted."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from services.scoring.domain.model import MILLI

MOVED = 5 * MILLI  # a score that moved this far is told even if nothing else changed


@dataclass(frozen=True, slots=True)
class Told:
    """What a snapshot says (or would say) about a lead, as far as it decides whether a new one is due.

    `members`: the lead's identities as text and merged ids, any stable form. `contactable`: an e-mail or phone.
    """

    fit: int
    engagement: int
    grade: str
    enters: bool
    holds: bool
    level_reason: str | None
    needs_data: bool
    missing: tuple[str, ...]
    hand_raised_at: datetime | None
    cycle: int
    cut: datetime | None
    routing_traits: Mapping[str, Any] = field(default_factory=dict)
    do_not_contact: bool = False
    members: frozenset[str] = frozenset()
    contactable: bool = True


def due(last: Told | None, now: Told) -> str | None:
    """Return why a snapshot is due, or None.

    Reasons: `first`, `cycle`, `level`, `grade`, `consent`, `membership`, `traits`, `moved`.
    """
    raise AssertionError("body follows")
