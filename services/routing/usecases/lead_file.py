"""All that routing holds of one lead while it is locked: record, open hand-off, running clocks, snapshot."""

from dataclasses import dataclass, field
from datetime import datetime

from services.routing.domain.lifecycle import Actor, Handoff, LeadRecord, State
from services.routing.domain.sla import Clock
from shared.contracts.leads import LeadScored


@dataclass(slots=True)
class LeadFile:
    """One locked lead. `known` is False where the row was made by the lock itself and nothing was told yet.

    (epoch, revision) is the order of the last snapshot; revision 0 means none. `clocks` holds the running
    ones, and those that stopped in this transaction, by id.
    """

    record: LeadRecord
    created_at: datetime
    epoch: int = 0
    revision: int = 0
    known: bool = True
    handoff: Handoff | None = None
    last_holder: str | None = None
    clocks: dict[str, Clock] = field(default_factory=dict)
    snapshot: LeadScored | None = None

    @property
    def lead_id(self) -> str:
        """The lead's id."""
        return self.record.lead_id

    @property
    def holder(self) -> str | None:
        """The rep who holds it, or held it when it was won or lost."""
        if self.handoff is not None:
            return self.handoff.person_id
        return self.last_holder if self.record.state in ("won", "lost") else None

    @property
    def score(self) -> int:
        """Fit and engagement together, in milli-points: the order of service in a queue."""
        return self.snapshot.fit + self.snapshot.engagement if self.snapshot else 0

    def running(self, kind: str) -> Clock | None:
        """Return the running clock of that kind."""
        return next((c for c in self.clocks.values() if c.kind == kind and c.state == "running"), None)


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
