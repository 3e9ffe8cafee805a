"""Two routing records become one, or one becomes two: which hand-off stays, and what the survivor remembers.

Every merged field is a maximum, a union or a choice by a total order, so the order of merges does not matter.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from services.routing.domain.lifecycle import (
    CycleOpened,
    Handoff,
    LeadRecord,
    Move,
    State,
)


@dataclass(frozen=True, slots=True)
class Side:
    """One lead as routing holds it; `handoff` is its open hand-off, if any."""

    record: LeadRecord
    handoff: Handoff | None = None


@dataclass(frozen=True, slots=True)
class Merged:
    """The survivor afterwards. A merge is no step of the transition table: it takes over a state as it is.

    `kept`: the open hand-off that stays, already carrying the survivor's lead id, cycle and a free seq.
    `kept_from`: the lead whose state stays, and with it its running clocks (re-key them to the survivor);
    every other running clock of both leads is cancelled, all of them where it is None.
    `superseded`: open hand-offs that this merge closed. `moves`: of the survivor.
    """

    record: LeadRecord
    kept: Handoff | None
    kept_from: str | None
    superseded: tuple[Handoff, ...]
    moves: tuple[Move, ...]
    cycle_opened: CycleOpened
    frees: bool = False


@dataclass(frozen=True, slots=True)
class Unmerged:
    """Both leads afterwards; an open hand-off, and the running clocks, are on the one `state_on` names.

    `moves`: of the lead that stays. `cycle_opened`: of the new one, so that scoring echoes its cycle.
    """

    stays: Side
    leaves: Side
    state_on: str
    moves: tuple[Move, ...]
    cycle_opened: CycleOpened


_RANK: dict[State, int] = {
    "opportunity": 10, "working": 9, "accepted": 8, "assigned": 7, "qualified": 6, "recycled": 5,
    # A won lead stays closed and the other goes on; it only outranks what holds nothing.
    "won": 4, "disqualified": 3, "lost": 2, "nurturing": 1, "erased": 0,
}  # fmt: skip
_DO_NOT_CONTACT_RANK = 11


def merge(survivor: Side, loser: Side, now: datetime) -> Merged:
    """Join two leads into `survivor.record.lead_id`, whatever their states."""
    first, second = sorted((survivor, loser), key=_precedence)
    winner, other = first.record, second.record
    cycle = max(winner.cycle, other.cycle)
    seqs = [side.last_seq for side in (winner, other) if side.cycle == cycle]
    record = replace(
        winner,
        lead_id=survivor.record.lead_id,
        cycle=cycle,
        cut=max((cut for cut in (winner.cut, other.cut) if cut is not None), default=None),
        recycles=max(winner.recycles, other.recycles),
        last_seq=max(seqs),
        reassigns=max(winner.reassigns, other.reassigns),
        tried=winner.tried | other.tried,
        rejected_by=winner.rejected_by | other.rejected_by,
        do_not_contact=winner.do_not_contact or other.do_not_contact,
    )
    kept_from: str | None = winner.lead_id
    if record.do_not_contact and record.state not in ("won", "disqualified", "erased"):
        record = replace(record, state="disqualified", reason="do_not_contact", queue=None,
                         cool_down_until=None, since=now)  # fmt: skip
        kept_from = None
    kept = first.handoff if kept_from else None
    if kept is not None:
        record, kept = _moved(record, kept)
    open_before = [side.handoff for side in (first, second) if side.handoff is not None]
    superseded = tuple(
        _superseded(handoff, kept, now) for handoff in open_before if kept is None or handoff.id != kept.id
    )
    moved = survivor.record.state != record.state
    return Merged(
        record=record, kept=kept, kept_from=kept_from, superseded=superseded,
        moves=(Move(survivor.record.state, record.state, "merged"),) if moved else (),
        cycle_opened=CycleOpened(record.cycle, record.cut, "merged"),
        frees=bool(superseded),
    )  # fmt: skip


def _precedence(side: Side) -> tuple[int, float, str, str]:
    """Return the sort key that puts first the lead whose state stays; lead ids never decide."""
    record, handoff = side.record, side.handoff
    rank = _RANK[record.state]
    if record.state == "disqualified" and record.do_not_contact:
        rank = _DO_NOT_CONTACT_RANK
    if record.state == "recycled" and record.cool_down_until is not None:
        age = -record.cool_down_until.timestamp()  # the later cool-down
    else:
        since = handoff.assigned_at if handoff else record.since
        age = since.timestamp() if since else 0.0  # the one that waits longer
    return -rank, age, handoff.id if handoff else "", f"{record.queue}/{record.reason}"


def _moved(record: LeadRecord, kept: Handoff) -> tuple[LeadRecord, Handoff]:
    """Give the kept hand-off a key of the survivor: (lead, cycle, a seq that is free in both)."""
    if (kept.lead_id, kept.cycle) == (record.lead_id, record.cycle):
        return record, kept
    seq = record.last_seq + 1
    return replace(record, last_seq=seq), replace(kept, lead_id=record.lead_id, cycle=record.cycle, seq=seq)


def _superseded(handoff: Handoff, kept: Handoff | None, now: datetime) -> Handoff:
    return replace(
        handoff, closed_at=now, outcome="superseded", reason="merged", successor_id=kept.id if kept else None
    )


def unmerge(side: Side, new_lead_id: str, handoff_goes_to: str, now: datetime) -> Unmerged:
    """Split `new_lead_id` off `side`; state and open hand-off go to the lead that `handoff_goes_to` names.

    The other one is nurturing with the same cycle, cut and rejected-by set. A do-not-contact holds for both:
    nobody knows which of the two said it.
    """
    record = side.record
    bare = replace(
        record, state="nurturing", since=now, last_seq=0, last_handoff_id=None, reassigns=0,
        tried=frozenset(), cool_down_until=None, queue=None, reason="unmerged",
    )  # fmt: skip
    if record.do_not_contact:
        bare = replace(bare, state="disqualified", reason="do_not_contact")
    goes = handoff_goes_to == new_lead_id
    moves: tuple[Move, ...] = ()
    if goes:
        taken, handoff = replace(record, lead_id=new_lead_id, last_seq=0), side.handoff
        if handoff is not None:
            taken, handoff = _moved(taken, handoff)
        # The seqs used under the old id stay used.
        stays, leaves = Side(replace(bare, last_seq=record.last_seq)), Side(taken, handoff)
        if stays.record.state != record.state:
            moves = (Move(record.state, stays.record.state, "unmerged"),)
    else:
        stays, leaves = side, Side(replace(bare, lead_id=new_lead_id))
    return Unmerged(
        stays=stays, leaves=leaves, state_on=new_lead_id if goes else record.lead_id, moves=moves,
        cycle_opened=CycleOpened(record.cycle, record.cut, "republished"),
    )  # fmt: skip
