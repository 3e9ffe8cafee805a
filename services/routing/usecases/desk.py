"""The unit of work: leads that are locked, what was done to them, and what the world is to be told."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal

import msgspec

from services.routing.domain.decide import Decision
from services.routing.domain.lifecycle import Actor, DecisionWanted, Handoff
from services.routing.domain.policy import Policy
from services.routing.domain.rotation import Rotation
from services.routing.domain.sla import target_at
from services.routing.usecases.lead_file import LeadFile, Transition
from shared.contracts import handoffs as told
from shared.contracts.leads import LeadScored

Span = tuple[datetime, datetime]
PassOutcome = Literal["passed_to_closer", "reassigned", "timed_out"]


@dataclass(frozen=True, slots=True)
class Terms:
    """What holds for one transaction: its instant, the active policy, known outages, who is deactivated."""

    now: datetime
    policy: Policy
    outages: Sequence[Span] = ()
    active: Mapping[str, bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Draft:
    """An event to come: its payload is made when all has been decided, so that it may name a successor."""

    type: str
    key: str
    make: Callable[[], msgspec.Struct]


@dataclass(slots=True)
class Desk:
    """Locked leads and the changes made to them. One transaction has one desk; `Store.save` writes it."""

    terms: Terms
    files: dict[str, LeadFile]
    touched: set[str] = field(default_factory=set)
    closed: dict[str, Handoff] = field(default_factory=dict)
    successors: dict[str, str] = field(default_factory=dict)
    transitions: list[Transition] = field(default_factory=list)
    drafts: list[Draft] = field(default_factory=list)
    wanted: dict[str, DecisionWanted] = field(default_factory=dict)
    taken_as: dict[str, PassOutcome] = field(default_factory=dict)
    decisions: dict[str, Decision] = field(default_factory=dict)
    rotations: dict[str, Rotation] = field(default_factory=dict)
    out_of_rotation: dict[str, datetime] = field(default_factory=dict)
    snapshots: dict[str, LeadScored] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)
    new_redirects: dict[str, str] = field(default_factory=dict)
    split: dict[str, str] = field(default_factory=dict)
    new_splits: dict[str, str] = field(default_factory=dict)
    unknown: set[str] = field(default_factory=set)
    woken: set[str] = field(default_factory=set)
    frees: bool = False
    evidence_at: datetime | None = None

    @property
    def now(self) -> datetime:
        """The transaction's instant."""
        return self.terms.now

    @property
    def policy(self) -> Policy:
        """The active policy."""
        return self.terms.policy

    def latest(self, handoff_id: str, file: LeadFile) -> Handoff | None:
        """Return a hand-off as it is after all changes, its successor included."""
        handoff = (
            file.handoff if file.handoff and file.handoff.id == handoff_id else self.closed.get(handoff_id)
        )
        if handoff is not None and handoff.id in self.successors:
            return replace(handoff, successor_id=self.successors[handoff.id])
        return handoff

    def tell(self, kind: str, key: str, make: Callable[[], msgspec.Struct]) -> None:
        """Announce an event of type `kind` under the lead `key`."""
        self.drafts.append(Draft(kind, key, make))

    def survivor_of(self, lead_id: str) -> str:
        """Follow redirects, those of this transaction included."""
        while lead_id in self.redirects:
            lead_id = self.redirects[lead_id]
        return lead_id

    def successor_of(self, handoff: Handoff) -> str | None:
        """Return the hand-off that follows, as far as this transaction knows."""
        return self.successors.get(handoff.id, handoff.successor_id)

    def due_of(self, file: LeadFile) -> dict[str, datetime]:
        """Return the target instants of the lead's running clocks, by kind."""
        return {clock.kind: target_at(clock) for clock in file.clocks.values() if clock.state == "running"}

    def take_out_of_rotation(self, person_id: str, seconds: int) -> None:
        """Leave a silent rep out until later."""
        self.out_of_rotation[person_id] = self.now + timedelta(seconds=seconds)


def actor_told(actor: Actor) -> told.Actor:
    """Return the actor as events name it."""
    return told.Actor(kind=actor.kind, id=actor.id, by=actor.by)


def place_of(handoff: Handoff) -> dict[str, Any]:
    """Return the fields by which every hand-off event names its hand-off."""
    return {
        "handoff_id": handoff.id, "lead_id": handoff.lead_id, "cycle": handoff.cycle, "seq": handoff.seq,
    }  # fmt: skip
