"""What the lifecycle remembers of a lead and its hand-offs, and what a command did to them."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from services.routing.domain.lifecycle_table import CloseReason, CycleWhy, OpenState, State
from services.routing.domain.policy import ClockKind


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
    rejecting; `rejected_by` lasts for life. `reassigns`: by the ladder, in this cycle (loop guard).
    `last_handoff_id`: the latest closed hand-off of this cycle, whose successor the next one becomes; also
    where a merge has given the cycle a higher number since.
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
    """`start` a clock of the lead or its hand-off; `stop`: its act happened; `cancel`: not asked any more.

    `at`: when the act happened, where it is told of later than that; None means now.
    """

    action: Literal["start", "stop", "cancel"]
    kind: ClockKind
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class DecisionWanted:
    """A `decide` is needed: exclude these reps; perhaps only one person or team.

    While qualified its answer is Assign or Enqueue. While an opportunity it is PassToCloser, or nothing:
    if nobody can take it, the holder stays.
    """

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


class UnknownStage(Exception):
    """The pipeline stage is not on the policy's list; `known` is that list."""

    def __init__(self, stage: str, known: tuple[str, ...]) -> None:
        super().__init__(f"no stage {stage!r}; configured: {', '.join(known)}")
        self.stage = stage
        self.known = known
