"""What scoring tells routing: full snapshots of leads, merges and unmerges. Topic `leadline.leads`.

Points are integers in thousandths of a point (milli-points) throughout.
"""

from datetime import datetime
from typing import Any, Literal

import msgspec

SCORED = "leadline.lead.scored.v1"
MERGED = "leadline.lead.merged.v1"
UNMERGED = "leadline.lead.unmerged.v1"


class ScoreLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """One addend of a score. The lines of a dimension sum exactly to its score; caps and clamps are lines.

    `status` is `unknown` where a trait that the rule reads is missing (0 points, but shown).
    """

    dimension: Literal["fit", "engagement"]
    rule: str
    kind: Literal["rule", "signal", "cap", "clamp", "cut", "bot"]
    points: int
    label: str = ""
    status: Literal["matched", "unknown"] = "matched"
    inputs: dict[str, Any] = {}


class RecentActivity(msgspec.Struct, frozen=True, omit_defaults=True):
    """One of the last activities, for the first call."""

    event_id: str
    kind: str
    name: str
    occurred_at: datetime
    url: str | None = None


class LeadPerson(msgspec.Struct, frozen=True, omit_defaults=True):
    """Personal data of a lead, apart from the rest."""

    email: str | None = None
    phone: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    other_emails: list[str] = []


class LeadScored(msgspec.Struct, frozen=True, omit_defaults=True):
    """A full snapshot of one lead at `as_of`.

    (epoch, revision) orders the snapshots of a lead. `cycle` and `cut` echo what routing last told.
    `enters`: at or over the upper threshold (or a hand-raise) counting activity after the cut only;
    `holds`: at or over the lower one. `level_reason` says why it enters; `missing` lists required traits
    whose lack keeps an engaged lead in the needs-data queue. `traits` are routing traits, not personal.
    """

    lead_id: str
    epoch: int
    revision: int
    cycle: int
    as_of: datetime
    fit: int
    engagement: int
    grade: str
    enters: bool
    holds: bool
    model_version: str
    lines: list[ScoreLine]
    cut: datetime | None = None
    level_reason: Literal["threshold", "grade", "hand_raise"] | None = None
    hand_raise: bool = False
    needs_data: bool = False
    missing: list[str] = []
    traits: dict[str, Any] = {}
    do_not_contact: bool = False
    merged_ids: list[str] = []
    recent: list[RecentActivity] = []
    first_seen_at: datetime | None = None
    hand_raised_at: datetime | None = None
    trigger_event_id: str | None = None
    trigger_received_at: datetime | None = None
    person: LeadPerson = LeadPerson()


class LeadMerged(msgspec.Struct, frozen=True, omit_defaults=True):
    """`lead_id` (the loser, also the message key) is `survivor_id` from now on; redirects never change."""

    lead_id: str
    survivor_id: str
    epoch: int
    revision: int
    merged_at: datetime


class LeadUnmerged(msgspec.Struct, frozen=True, omit_defaults=True):
    """Identities left `lead_id` for the newly minted `new_lead_id`.

    `handoff_goes_to` is the lead that owns the identity that qualified: an open hand-off stays with it.
    """

    lead_id: str
    new_lead_id: str
    handoff_goes_to: str
    epoch: int
    revision: int
    unmerged_at: datetime
