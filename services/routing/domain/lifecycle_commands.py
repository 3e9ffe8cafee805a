"""What can be asked of a lead or its hand-off, by whom."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does it: a person, an API key, a rule, a clock or the CRM; `by` is the person a key acts for."""

    kind: Literal["person", "key", "rule", "clock", "crm"]
    id: str
    by: str | None = None

    @property
    def identity(self) -> str:
        """The person where one is known, else the actor's own id: what "the same actor" compares."""
        return self.by or self.id


@dataclass(frozen=True, slots=True)
class EvaluateSnapshot:
    """A snapshot as scoring told it; `cycle` is the one it echoes (a lead never told of echoes <= 1)."""

    cycle: int
    enters: bool
    holds: bool
    do_not_contact: bool = False


@dataclass(frozen=True, slots=True)
class CoolDownEnd:
    """The cool-down ran out; `snapshot` is the latest one stored, evaluated at once."""

    snapshot: EvaluateSnapshot | None = None


@dataclass(frozen=True, slots=True)
class Enqueue:
    """The decision found nobody: the qualified lead waits in `queue` (its assign clock runs on)."""

    queue: str


@dataclass(frozen=True, slots=True)
class Assign:
    """The decision chose a person: offer the lead. `handoff_id` comes from the caller."""

    handoff_id: str
    person_id: str
    team_id: str | None
    decision_id: str


@dataclass(frozen=True, slots=True)
class Accept:
    """The rep takes the lead (SAL). `at`: when that happened, where it is told later."""

    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Reject:
    """The rep gives it back for a configured reason: recycle or disqualify, as the reason says."""

    reason: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Contact:
    """Evidence of contact (first touch); while assigned it implies acceptance.

    `at`: when it happened, where that is told later; it counts from the hand-off on, and never after now.
    """

    channel: str = ""
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Qualify:
    """The lead is an opportunity, or its stage, amount or expected close changes."""

    stage: str = "unqualified"
    amount: float | None = None
    currency: str | None = None
    expected_close: str | None = None


@dataclass(frozen=True, slots=True)
class Win:
    """Closed won."""

    amount: float | None = None
    currency: str | None = None


@dataclass(frozen=True, slots=True)
class Lose:
    """Closed lost, optionally for a configured reason."""

    reason: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Recycle:
    """Stalled: back to marketing for a configured reason (also from lost)."""

    reason: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Reassign:
    """Take it from the rep and decide again; `to_person` asks for one named person.

    `ladder` marks a reassignment by an SLA clock (outcome `timed_out`, counted by the loop guard).
    """

    to_person: str | None = None
    ladder: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class HandBack:
    """The rep hands it back to the queue, without rejecting it."""

    note: str = ""


@dataclass(frozen=True, slots=True)
class PassToCloser:
    """An opportunity changes its holder within the state: a further hand-off of the same cycle.

    `outcome` closes the present one: passed to the closer team, or reassigned by hand or by the ladder.
    """

    handoff_id: str
    person_id: str
    team_id: str | None
    decision_id: str
    outcome: Literal["passed_to_closer", "reassigned", "timed_out"] = "passed_to_closer"


@dataclass(frozen=True, slots=True)
class Disqualify:
    """Junk, competitor, do-not-contact: out, by hand or by rule."""

    reason: str
    do_not_contact: bool = False


@dataclass(frozen=True, slots=True)
class Reopen:
    """A disqualified lead back to nurturing, by hand, in a new cycle."""


@dataclass(frozen=True, slots=True)
class Erase:
    """The person asked to be forgotten: a tombstone stays."""


Command = (
    EvaluateSnapshot | CoolDownEnd | Enqueue | Assign | Accept | Reject | Contact | Qualify | Win | Lose
    | Recycle | Reassign | HandBack | PassToCloser | Disqualify | Reopen | Erase
)  # fmt: skip
