"""All that routing holds of one lead while it is locked: its row, open hand-off, clocks, latest snapshot."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from shared.contracts.handoffs import Actor, State
from shared.contracts.leads import LeadScored

HELD: frozenset[State] = frozenset({"assigned", "accepted", "working", "opportunity"})


@dataclass(slots=True)
class Lead:
    """A row of `lead`. `seq` is the last hand-off of `cycle`; `revision` 0 means no snapshot yet."""

    lead_id: str
    since: datetime
    created_at: datetime
    state: State = "nurturing"
    holder: str | None = None
    team_id: str | None = None
    queue: str | None = None
    cycle: int = 1
    seq: int = 0
    cut: datetime | None = None
    epoch: int = 0
    revision: int = 0
    score: int = 0
    reassignments: int = 0
    rejected_by: list[str] = field(default_factory=list)
    stage: str | None = None
    amount: float | None = None
    currency: str | None = None
    expected_close: str | None = None
    note: str = ""


@dataclass(slots=True)
class Handoff:
    """A row of `handoff`: one lead offered to one person in one cycle."""

    handoff_id: str
    lead_id: str
    cycle: int
    seq: int
    person_id: str
    team_id: str | None
    decision_id: str
    policy_version: str
    opened_at: datetime
    open: bool = True
    accepted_at: datetime | None = None
    contacted_at: datetime | None = None
    qualified_at: datetime | None = None
    closed_at: datetime | None = None
    outcome: str | None = None
    reason: str = ""
    note: str = ""
    successor_id: str | None = None


@dataclass(slots=True)
class RunningClock:
    """A row of `clock`. `plan` is what was frozen at its start; `wakes_at` the next step's instant."""

    clock_id: str
    lead_id: str
    kind: str
    cycle: int
    started_at: datetime
    due_at: datetime
    wakes_at: datetime | None
    target_seconds: int
    calendar_version: str
    policy_version: str
    plan: dict[str, Any]
    handoff_id: str | None = None
    person_id: str | None = None
    queue: str | None = None
    next_step: int = 0
    paused_seconds: int = 0
    breached_at: datetime | None = None
    during_outage: bool = False
    ended_at: datetime | None = None
    verdict: str = "running"


@dataclass(frozen=True, slots=True)
class Transition:
    """A move that was made, for the log."""

    lead_id: str
    cycle: int
    at: datetime
    from_state: State
    to_state: State
    reason: str
    actor: Actor
    handoff_id: str | None


@dataclass(slots=True)
class LeadFile:
    """One locked lead with what hangs on it. `known` is False where the row was made by the lock itself."""

    lead: Lead
    known: bool = True
    handoff: Handoff | None = None
    clocks: list[RunningClock] = field(default_factory=list)
    snapshot: LeadScored | None = None

    def clock(self, kind: str) -> RunningClock | None:
        """Return the running clock of that kind."""
        return next((clock for clock in self.clocks if clock.kind == kind and clock.ended_at is None), None)
