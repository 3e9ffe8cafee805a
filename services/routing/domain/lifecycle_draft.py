"""The making of an outcome: steps through the table, changes of the hand-off, opening of cycles."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from services.routing.domain.lifecycle_commands import Actor
from services.routing.domain.lifecycle_records import (
    Act,
    ClockChange,
    CycleOpened,
    Handoff,
    IllegalMove,
    LeadRecord,
    Move,
    Outcome,
)
from services.routing.domain.lifecycle_table import TABLE, CloseReason, CycleWhy, State, legal_acts
from services.routing.domain.policy import RecyclePolicy


@dataclass(slots=True)
class Draft:
    """An outcome in the making; thrown away whole when a step turns out to be illegal."""

    record: LeadRecord
    handoff: Handoff | None
    actor: Actor
    policy: RecyclePolicy
    now: datetime
    effects: dict[str, Any] = field(default_factory=dict)
    moves: list[Move] = field(default_factory=list)
    clocks: list[ClockChange] = field(default_factory=list)

    def move(
        self, to: State, reason: str = "", *, act_done: bool = False, acted_at: datetime | None = None
    ) -> None:
        """Take one step of the table; `act_done`: the clock of the state left was met, not called off."""
        row = TABLE[self.record.state]
        if to not in row.moves:
            raise IllegalMove(f"going to {to}", self.record.state, legal_acts(self.record.state))
        if row.clock:
            self.clocks.append(ClockChange("stop" if act_done else "cancel", row.clock, acted_at))
        after = TABLE[to].clock
        if after:
            self.clocks.append(ClockChange("start", after))
        self.moves.append(Move(self.record.state, to, reason))
        self.record = replace(
            self.record, state=to, since=self.now, reason=reason, queue=None, cool_down_until=None
        )

    def open_handoff(self) -> Handoff:
        """Return the open hand-off; a lead that a rep holds without one is a broken record."""
        if self.handoff is None or not self.handoff.is_open:
            raise ValueError(f"lead {self.record.lead_id} is {self.record.state} without an open hand-off")
        return self.handoff

    def update_handoff(self, act: str, **changes: Any) -> None:
        """Change the open hand-off and note the act on it."""
        handoff = self.open_handoff()
        acts = (*handoff.acts, Act(act, self.actor.identity, self.now))
        self.handoff = replace(handoff, acts=acts, **changes)

    def close(self, act: str, outcome: CloseReason, reason: str = "", note: str = "") -> None:
        """Close the open hand-off; its successor, if one follows in this cycle, will be linked to it."""
        self.update_handoff(act, closed_at=self.now, outcome=outcome, reason=reason, note=note)
        closed = self.handoff
        assert closed is not None
        self.effects.update(closed=closed, frees=True)
        self.handoff = None
        self.record = replace(self.record, last_handoff_id=closed.id)

    def open_cycle(self, why: CycleWhy) -> None:
        """Author the next cycle: only activity after now counts towards its level."""
        self.record = replace(
            self.record, cycle=self.record.cycle + 1, cut=self.now, last_seq=0, last_handoff_id=None,
            reassigns=0, tried=frozenset(),
        )  # fmt: skip
        self.effects["cycle_opened"] = CycleOpened(self.record.cycle, self.now, why)

    def touched(self, record: LeadRecord, handoff: Handoff | None) -> bool:
        """Tell whether anything differs from how it was found."""
        return bool(self.effects) or (record, handoff) != (self.record, self.handoff)

    def outcome(self) -> Outcome:
        """Return what was done."""
        return Outcome(
            self.record, self.handoff, moves=tuple(self.moves), clocks=tuple(self.clocks), **self.effects
        )
