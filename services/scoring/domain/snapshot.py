"""When a new snapshot of a lead is due: when it tells routing something and somebody can be contacted.

Of a lead whose last e-mail and phone have left it (an unmerge) that is told once, so that nobody goes on with
what was told before.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from services.scoring.domain.model import MILLI

MOVED = 5 * MILLI  # a score that moved this far is told even if nothing else changed


@dataclass(frozen=True, slots=True)
class Told:
    """What a snapshot says (or would say) about a lead, as far as it decides whether a new one is due.

    `members`: the lead's identities and merged ids, in any stable form. `contactable`: an e-mail or phone.
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

    Reasons: `first`, `contact`, `cycle`, `level`, `grade`, `consent`, `membership`, `traits`, `moved`.
    """
    if not now.contactable and (last is None or not last.contactable):
        return None
    if last is None:
        return "first"
    return next((reason for reason, differs in _CHANGES if differs(last, now)), None)


def _level(told: Told) -> tuple[object, ...]:
    return told.enters, told.holds, told.level_reason, told.needs_data, told.missing, told.hand_raised_at


_CHANGES: tuple[tuple[str, Callable[[Told, Told], bool]], ...] = (
    ("contact", lambda last, now: last.contactable != now.contactable),
    ("cycle", lambda last, now: (last.cycle, last.cut) != (now.cycle, now.cut)),
    ("level", lambda last, now: _level(last) != _level(now)),
    ("grade", lambda last, now: last.grade != now.grade),
    ("consent", lambda last, now: last.do_not_contact != now.do_not_contact),
    ("membership", lambda last, now: last.members != now.members),
    ("traits", lambda last, now: dict(last.routing_traits) != dict(now.routing_traits)),
    ("moved", lambda last, now: abs(last.fit - now.fit) >= MOVED),
    ("moved", lambda last, now: abs(last.engagement - now.engagement) >= MOVED),
)
