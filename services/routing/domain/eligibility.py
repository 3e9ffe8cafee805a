"""May this person take this lead now? Each refusal has a code and its numbers, and an instant when it may end."""

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal

from services.routing.domain.policy import Person, Policy, TimeOff

Refusal = Literal[
    "deactivated",
    "out_of_rotation",
    "rejected_before",
    "already_tried",
    "excluded",
    "skill_missing",
    "offline",
    "paused",
    "time_off",
    "outside_hours",
    "daily_cap",
    "open_cap",
]


@dataclass(frozen=True, slots=True)
class MemberState:
    """What changes about a person between policy pushes. Defaults: there, with nothing on the desk.

    `assigned_today` counts hand-offs of the local date `assigned_on` (the person's zone); another date means 0.
    """

    online: bool = True
    active: bool = True
    paused_until: datetime | None = None
    out_of_rotation_until: datetime | None = None
    time_off: tuple[TimeOff, ...] = ()
    assigned_on: date | None = None
    assigned_today: int = 0
    open_load: int = 0


@dataclass(frozen=True, slots=True)
class Need:
    """What one lead asks of a candidate. The sets hold person ids."""

    skills: frozenset[str] = field(default_factory=frozenset)
    rejected_by: frozenset[str] = field(default_factory=frozenset)
    tried: frozenset[str] = field(default_factory=frozenset)
    excluded: frozenset[str] = field(default_factory=frozenset)


@dataclass(frozen=True, slots=True)
class Verdict:
    """`refusal` None means eligible. `numbers` are what the verdict rests on; `until`: when the clock ends it."""

    refusal: Refusal | None
    numbers: dict[str, str | int] = field(default_factory=dict)
    until: datetime | None = None

    @property
    def eligible(self) -> bool:
        """True when nothing speaks against it."""
        return self.refusal is None


def local_date(person: Person, now: datetime) -> date:
    """Return the date at `now` in the person's zone: the day that `daily_cap` counts."""
    raise NotImplementedError


def judge(person: Person, member: MemberState, need: Need, policy: Policy, now: datetime) -> Verdict:
    """Return the first refusal in the order of `Refusal`, or an eligible verdict."""
    raise NotImplementedError


def next_change(person: Person, member: MemberState, policy: Policy, now: datetime) -> datetime | None:
    """Return the next instant after `now` at which the clock alone can make this person eligible or not.

    None when only an act can (deactivated, offline without end, open cap).
    """
    raise NotImplementedError
