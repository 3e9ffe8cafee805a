"""The lead's lifecycle: one transition table, and one function that applies a command to a lead.

Everything a command causes comes back as data; storing it is the caller's.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from services.routing.domain.policy import ClockKind, RecyclePolicy

State = Literal[
    "nurturing", "qualified", "assigned", "accepted", "working", "opportunity",
    "won", "lost", "recycled", "disqualified", "erased",
]  # fmt: skip
OpenState = Literal["assigned", "accepted", "working", "opportunity"]
Holder = Literal["marketing", "queue", "rep", "nobody"]
CloseReason = Literal[
    "timed_out", "handed_back", "reassigned", "rejected", "recycled", "disqualified",
    "won", "lost", "passed_to_closer", "superseded", "erased",
]  # fmt: skip
CycleWhy = Literal["recycled", "won", "lost", "merged", "reopened", "republished"]


@dataclass(frozen=True, slots=True)
class StateRow:
    """One row of the transition table: who holds the lead, against which clock, and where it may go."""

    meaning: str
    holder: Holder
    clock: ClockKind | None
    moves: frozenset[State]


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
class Act:
    """One act already done on a hand-off, so that its repetition by the same actor changes nothing."""

    name: str
    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Handoff:
    """One lead offered to one person in one cycle. Open until `closed_at`."""

    id: str
    lead_id: str
    cycle: int
    seq: int
    person_id: str
    team_id: str | None
    decision_id: str
    assigned_at: datetime
    state: OpenState = "assigned"
    accepted_at: datetime | None = None
    contacted_at: datetime | None = None
    stage: str | None = None
    amount: float | None = None
    currency: str | None = None
    expected_close: str | None = None
    closed_at: datetime | None = None
    outcome: CloseReason | None = None
    reason: str = ""
    note: str = ""
    successor_id: str | None = None
    acts: tuple[Act, ...] = ()

    @property
    def is_open(self) -> bool:
        """True until it is closed."""
        return self.closed_at is None


@dataclass(frozen=True, slots=True)
class LeadRecord:
    """Routing's own memory of a lead.

    `cycle` and `cut` are authored here. `recycles` counts cycles given back since the last win or reopening.
    `last_seq`: highest hand-off seq used in this cycle. `tried`: reps who held it in this cycle without
    rejecting; `rejected_by` lasts for the lead's life. `reassigns`: by the ladder, in this cycle (loop guard).
    `last_handoff_id`: the latest closed hand-off of this cycle, whose successor the next one becomes.
    """

    lead_id: str
    state: State = "nurturing"
    since: datetime | None = None
    cycle: int = 1
    cut: datetime | None = None
    recycles: int = 0
    last_seq: int = 0
    last_handoff_id: str | None = None
    reassigns: int = 0
    tried: frozenset[str] = field(default_factory=frozenset)
    rejected_by: frozenset[str] = field(default_factory=frozenset)
    cool_down_until: datetime | None = None
    queue: str | None = None
    reason: str = ""
    do_not_contact: bool = False


# --- commands ---------------------------------------------------------------------------------------


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
    """The rep takes the lead (SAL)."""


@dataclass(frozen=True, slots=True)
class Reject:
    """The rep gives it back for a configured reason: recycle or disqualify, as the reason says."""

    reason: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Contact:
    """Evidence of contact (first touch); while assigned it implies acceptance."""

    channel: str = ""


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
    """An opportunity passes to the closer team: second hand-off of the same cycle (see Assign)."""

    handoff_id: str
    person_id: str
    team_id: str | None
    decision_id: str


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

# --- outcomes ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Move:
    """One step through the transition table."""

    from_state: State
    to_state: State
    reason: str = ""


@dataclass(frozen=True, slots=True)
class CycleOpened:
    """Routing authored (cycle, cut): tell scoring."""

    cycle: int
    cut: datetime | None
    why: CycleWhy


@dataclass(frozen=True, slots=True)
class ClockChange:
    """`start` a clock of the lead (or its open hand-off); `stop`: its act happened; `cancel`: no longer asked."""

    action: Literal["start", "stop", "cancel"]
    kind: ClockKind


@dataclass(frozen=True, slots=True)
class DecisionWanted:
    """The lead is qualified and needs a `decide`: exclude these reps; perhaps only one person or team."""

    excluded: frozenset[str] = field(default_factory=frozenset)
    only_person: str | None = None
    only_team: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command did. `changed` False: a repetition or a snapshot without consequence; nothing to store.

    `handoff`: the open hand-off afterwards. `closed`: the one this command closed. `accepted`: None, or
    whether the acceptance was implied. `contacted`, `staged`: say so to the CRM. `frees`: a rep's desk got
    emptier, wake the queues. `successor_of`: the earlier hand-off whose `successor_id` is now the open one.
    """

    record: LeadRecord
    handoff: Handoff | None
    changed: bool = True
    moves: tuple[Move, ...] = ()
    closed: Handoff | None = None
    opened: bool = False
    accepted: Literal["explicit", "implied"] | None = None
    contacted: bool = False
    staged: bool = False
    cycle_opened: CycleOpened | None = None
    clocks: tuple[ClockChange, ...] = ()
    decide: DecisionWanted | None = None
    frees: bool = False
    successor_of: str | None = None


class IllegalMove(Exception):
    """The state does not allow this act; `legal` names the acts it allows."""

    def __init__(self, act: str, state: State, legal: tuple[str, ...]) -> None:
        super().__init__(f"{act} is not possible while {state}; possible: {', '.join(legal) or 'nothing'}")
        self.act = act
        self.state = state
        self.legal = legal


class HandoffClosed(Exception):
    """The hand-off acted on is closed; `successor_id` is the one that followed, if any."""

    def __init__(self, handoff: Handoff) -> None:
        super().__init__(f"hand-off {handoff.id} is closed ({handoff.outcome})")
        self.handoff = handoff
        self.successor_id = handoff.successor_id


class UnknownReason(Exception):
    """The reason is not on the policy's list; `known` is that list."""

    def __init__(self, reason: str, known: tuple[str, ...]) -> None:
        super().__init__(f"no reason {reason!r}; configured: {', '.join(known)}")
        self.reason = reason
        self.known = known


def legal_acts(state: State) -> tuple[str, ...]:
    """Return the names of the acts that `state` allows on our API, sorted."""
    raise NotImplementedError


def apply(
    record: LeadRecord,
    handoff: Handoff | None,
    command: Command,
    actor: Actor,
    policy: RecyclePolicy,
    now: datetime,
) -> Outcome:
    """Apply one command to a lead and the hand-off concerned (the open one, or a closed one acted upon).

    Acts on a hand-off pass that hand-off; commands on the lead pass its open one or None.
    Raises IllegalMove, HandoffClosed, UnknownReason; never leaves a half-made change.
    """
    raise NotImplementedError
