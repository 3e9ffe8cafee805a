"""What routing tells the CRM, the feed and scoring: hand-offs, lifecycle, SLA. Topic `leadline.handoffs`."""

from datetime import datetime
from typing import Any, Literal

import msgspec

from shared.contracts.leads import LeadPerson, RecentActivity, ScoreLine

QUALIFIED = "leadline.lead.qualified.v1"
LIFECYCLE_CHANGED = "leadline.lead.lifecycle_changed.v1"
ASSIGNED = "leadline.handoff.assigned.v1"
ACCEPTED = "leadline.handoff.accepted.v1"
CONTACTED = "leadline.handoff.contacted.v1"
STAGE_CHANGED = "leadline.handoff.stage_changed.v1"
CLOSED = "leadline.handoff.closed.v1"
CYCLE_OPENED = "leadline.handoff.cycle_opened.v1"
SLA_WARNED = "leadline.sla.warned.v1"
SLA_BREACHED = "leadline.sla.breached.v1"
SLA_BREACH_CORRECTED = "leadline.sla.breach_corrected.v1"
SLA_ESCALATED = "leadline.sla.escalated.v1"

State = Literal[
    "nurturing", "qualified", "assigned", "accepted", "working", "opportunity",
    "won", "lost", "recycled", "disqualified", "erased",
]  # fmt: skip
ClockKind = Literal["assign", "accept", "first_touch", "qualify", "stage_age", "cool_down"]
CloseReason = Literal[
    "timed_out", "handed_back", "reassigned", "rejected", "recycled", "disqualified",
    "won", "lost", "passed_to_closer", "superseded", "erased",
]  # fmt: skip


class Actor(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who did it: a person, an API key, a rule, a clock or the CRM. `by` is the person a key acted for."""

    kind: Literal["person", "key", "rule", "clock", "crm"]
    id: str
    by: str | None = None


class LeadQualified(msgspec.Struct, frozen=True, omit_defaults=True):
    """The lead reached the threshold (MQL) and waits in `queue` if nobody could take it at once."""

    lead_id: str
    cycle: int
    at: datetime
    actor: Actor
    grade: str
    queue: str | None = None


class LifecycleChanged(msgspec.Struct, frozen=True, omit_defaults=True):
    """Any move in the lifecycle table, with its reason."""

    lead_id: str
    cycle: int
    at: datetime
    actor: Actor
    from_state: State
    to_state: State
    reason: str = ""


class HandoffAssigned(msgspec.Struct, frozen=True, omit_defaults=True):
    """One lead offered to one person: all that a rep needs for the first call.

    `reason` tells the rep why the lead came to them; `decision_id` leads to the whole record.
    `system_delay_seconds` is our part of the delay: from the trigger's arrival (or the lead's return) on
    up to this hand-off, less the time spent waiting in a queue.
    """

    handoff_id: str
    lead_id: str
    cycle: int
    seq: int
    at: datetime
    actor: Actor
    person_id: str
    team_id: str | None
    decision_id: str
    reason: str
    fit: int
    engagement: int
    grade: str
    lines: list[ScoreLine]
    recent: list[RecentActivity]
    traits: dict[str, Any]
    due: dict[str, datetime]
    system_delay_seconds: float | None = None
    rep: dict[str, Any] = {}
    person: LeadPerson = LeadPerson()


class HandoffAccepted(msgspec.Struct, frozen=True, omit_defaults=True):
    """The rep took the lead (SAL). `implied` where evidence of contact stands for the acceptance."""

    handoff_id: str
    lead_id: str
    cycle: int
    seq: int
    at: datetime
    actor: Actor
    person_id: str
    implied: bool = False


class HandoffContacted(msgspec.Struct, frozen=True, omit_defaults=True):
    """First touch: the rep reached out; `channel` says how."""

    handoff_id: str
    lead_id: str
    cycle: int
    seq: int
    at: datetime
    actor: Actor
    person_id: str
    channel: str = ""


class StageChanged(msgspec.Struct, frozen=True, omit_defaults=True):
    """The lead is an opportunity at `stage`: SRL at `unqualified`, SQL from `qualified` on."""

    handoff_id: str
    lead_id: str
    cycle: int
    seq: int
    at: datetime
    actor: Actor
    stage: str
    amount: float | None = None
    currency: str | None = None
    expected_close: str | None = None


class HandoffClosed(msgspec.Struct, frozen=True, omit_defaults=True):
    """The hand-off ended. `successor_id` names the hand-off that follows it, if there is one."""

    handoff_id: str
    lead_id: str
    cycle: int
    seq: int
    at: datetime
    actor: Actor
    person_id: str
    outcome: CloseReason
    reason: str = ""
    note: str = ""
    successor_id: str | None = None


class CycleOpened(msgspec.Struct, frozen=True, omit_defaults=True):
    """Routing authors (lead, cycle, cut): only activity after `cut` counts towards the level of `cycle`."""

    lead_id: str
    cycle: int
    cut: datetime | None
    at: datetime
    why: Literal["recycled", "won", "lost", "merged", "reopened", "republished"]


class SlaFact(msgspec.Struct, frozen=True, omit_defaults=True):
    """A warning, breach, correction or escalation of one clock.

    `due_at` is the target instant. `rung` is the step of the ladder, `recipient` whom it tells,
    `action` what it does. `during_outage` marks a breach that happened while Leadline was down.
    """

    clock_id: str
    clock: ClockKind
    lead_id: str
    cycle: int
    at: datetime
    due_at: datetime
    started_at: datetime
    target_seconds: int
    calendar_version: str
    policy_version: str
    handoff_id: str | None = None
    person_id: str | None = None
    queue: str | None = None
    rung: int = 0
    recipient: str | None = None
    action: Literal["notify", "reassign", "out_of_rotation"] = "notify"
    paused_seconds: int = 0
    during_outage: bool = False
    met_at: datetime | None = None
