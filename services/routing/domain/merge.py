"""Two routing records become one, or one becomes two: which hand-off stays, and what the survivor remembers.

Every merged field is a maximum, a union or a choice by a total order, so the order of merges does not matter.
"""

from dataclasses import dataclass
from datetime import datetime

from services.routing.domain.lifecycle import (
    ClockChange,
    CycleOpened,
    DecisionWanted,
    Handoff,
    LeadRecord,
    Move,
)


@dataclass(frozen=True, slots=True)
class Side:
    """One lead as routing holds it; `handoff` is its open hand-off, if any."""

    record: LeadRecord
    handoff: Handoff | None = None


@dataclass(frozen=True, slots=True)
class Merged:
    """The survivor afterwards.

    `kept`: the open hand-off that stays, already carrying the survivor's lead id, cycle and a free seq;
    `kept_from`: the id of the lead it was on (its clocks move along). `superseded`: closed, clocks cancelled.
    `moves`: of the survivor. `clocks`: starts and cancels on the survivor apart from those of hand-offs.
    """

    record: LeadRecord
    kept: Handoff | None
    kept_from: str | None
    superseded: Handoff | None
    moves: tuple[Move, ...]
    cycle_opened: CycleOpened
    clocks: tuple[ClockChange, ...] = ()
    decide: DecisionWanted | None = None
    frees: bool = False


@dataclass(frozen=True, slots=True)
class Unmerged:
    """Both leads afterwards; the open hand-off is on exactly one of them."""

    stays: Side
    leaves: Side
    moves: tuple[Move, ...]
    cycle_opened: CycleOpened
    clocks: tuple[ClockChange, ...] = ()


def merge(survivor: Side, loser: Side, now: datetime) -> Merged:
    """Join two leads into `survivor.record.lead_id`, whatever their states."""
    raise NotImplementedError


def unmerge(side: Side, new_lead_id: str, handoff_goes_to: str, now: datetime) -> Unmerged:
    """Split `new_lead_id` off `side`; state and open hand-off go to the lead that `handoff_goes_to` names.

    The other one is nurturing, with the same cycle, cut and rejected-by set.
    """
    raise NotImplementedError
