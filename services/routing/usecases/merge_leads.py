"""Two leads become one, or one becomes two, as scoring says: redirect, records, hand-offs, clocks, events."""

from dataclasses import replace

import msgspec

from services.routing.domain.lifecycle import Actor, DecisionWanted, LeadRecord
from services.routing.domain.merge import Merged, Side, Unmerged, merge, unmerge
from services.routing.usecases.carry_out import record_move, tell_closed
from services.routing.usecases.desk import Desk
from services.routing.usecases.keep_clocks import cancel_clock
from services.routing.usecases.lead_file import LeadFile
from shared.contracts import handoffs as told
from shared.contracts import leads
from shared.contracts.leads import LeadMerged, LeadUnmerged


def merge_pair(desk: Desk, loser_id: str, survivor_id: str, actor: Actor, *, tell: bool = True) -> None:
    """Redirect the loser and join what routing holds of both; a pair joined before changes nothing."""
    if loser_id in desk.redirects:
        return
    survivor_id = desk.survivor_of(survivor_id)
    if survivor_id == loser_id:
        return
    loser, survivor = desk.files[loser_id], desk.files[survivor_id]
    desk.redirects[loser_id] = desk.new_redirects[loser_id] = survivor_id
    waiting: dict[str, DecisionWanted | None] = {
        lead_id: desk.wanted.pop(lead_id, None) for lead_id in (loser_id, survivor_id)
    }
    desk.touched.discard(loser_id)
    desk.snapshots.pop(loser_id, None)
    if not loser.known:
        own = waiting[survivor_id]
        if own is not None:
            desk.wanted[survivor_id] = own
        return
    merged = merge(Side(survivor.record, survivor.handoff), Side(loser.record, loser.handoff), desk.now)
    _inherit_snapshot(desk, survivor, loser)
    if tell:
        fact = LeadMerged(loser_id, survivor_id, loser.epoch, loser.revision, desk.now)
        desk.tell(leads.MERGED, survivor_id, lambda: fact)
    _keep(desk, survivor, loser, merged, actor)
    wanted = waiting.get(merged.kept_from or "")
    if wanted is None and survivor.record.state == "qualified" and survivor.record.queue is None:
        wanted = DecisionWanted()
    if wanted is not None:
        desk.wanted[survivor_id] = wanted


def _inherit_snapshot(desk: Desk, survivor: LeadFile, loser: LeadFile) -> None:
    """Until the survivor's own snapshot comes, the loser's is what we know; any later one replaces it."""
    if survivor.snapshot is None and loser.snapshot is not None:
        survivor.snapshot = msgspec.structs.replace(loser.snapshot, lead_id=survivor.lead_id, revision=0)
        desk.snapshots[survivor.lead_id] = survivor.snapshot
    survivor.created_at = min(survivor.created_at, loser.created_at)
    survivor.known = True


def _keep(desk: Desk, survivor: LeadFile, loser: LeadFile, merged: Merged, actor: Actor) -> None:
    """Store what the merge says: hand-offs, clocks of both, moves, the cycle that is open now."""
    before = survivor.handoff
    survivor.record = merged.record
    survivor.handoff = merged.kept
    if merged.kept_from == loser.lead_id:
        survivor.last_holder = loser.last_holder
    desk.touched.add(survivor.lead_id)
    desk.frees = desk.frees or merged.frees
    for superseded in merged.superseded:
        desk.closed[superseded.id] = superseded
        tell_closed(desk, superseded, actor)
    _move_clocks(desk, survivor, loser, merged)
    named = merged.kept or before
    for move in merged.moves:
        record_move(desk, survivor, move, actor, named.id if named else None)
    opened = merged.cycle_opened
    cycle = told.CycleOpened(survivor.lead_id, opened.cycle, opened.cut, desk.now, opened.why)
    desk.tell(told.CYCLE_OPENED, survivor.lead_id, lambda: cycle)


def _move_clocks(desk: Desk, survivor: LeadFile, loser: LeadFile, merged: Merged) -> None:
    """The clocks of the state that stays run on under the survivor; all others are cancelled."""
    for file in (survivor, loser):
        for clock in list(file.clocks.values()):
            moved = replace(clock, lead_id=survivor.lead_id, cycle=merged.record.cycle)
            survivor.clocks[clock.id] = moved
            if clock.state == "running" and file.lead_id != merged.kept_from:
                cancel_clock(desk, survivor, moved)
    loser.clocks.clear()


def split_lead(desk: Desk, message: LeadUnmerged, actor: Actor) -> None:
    """Give the open hand-off to the lead that owns the identity that qualified, wherever that is by now."""
    lead_id, new_id = desk.survivor_of(message.lead_id), message.new_lead_id
    merged_into = desk.survivor_of(new_id)
    if new_id in desk.split or merged_into == lead_id or not desk.files[lead_id].known:
        return
    desk.split[new_id] = desk.new_splits[new_id] = lead_id
    if merged_into == new_id:
        _part(desk, message, lead_id, actor)
    elif message.handoff_goes_to == new_id:
        # The merge was told before the split: what leaves goes on to the survivor.
        stored = new_id not in desk.new_redirects
        desk.files[new_id] = LeadFile(LeadRecord(new_id), desk.now, known=False)
        del desk.redirects[new_id]
        _part(desk, message, lead_id, actor)
        merge_pair(desk, new_id, merged_into, actor, tell=not stored)
        if stored:
            del desk.new_redirects[new_id]


def _part(desk: Desk, message: LeadUnmerged, lead_id: str, actor: Actor) -> None:
    stays, leaves = desk.files[lead_id], desk.files[message.new_lead_id]
    goes_to = message.new_lead_id if message.handoff_goes_to == message.new_lead_id else lead_id
    if leaves.known and (goes_to == lead_id or leaves.handoff is not None):
        return  # the new lead has been told of before and stands on its own feet already
    parted = unmerge(Side(stays.record, stays.handoff), message.new_lead_id, goes_to, desk.now)
    if leaves.known:
        _join_split_off(desk, leaves, stays, actor)
    else:
        _take_split_off(desk, leaves, stays, parted)
    stays.record, stays.handoff = parted.stays.record, parted.stays.handoff
    desk.touched |= {stays.lead_id, leaves.lead_id}
    for move in parted.moves:
        record_move(desk, stays, move, actor, None)


def _join_split_off(desk: Desk, leaves: LeadFile, stays: LeadFile, actor: Actor) -> None:
    """Join what comes to the new lead with what it, told of before the split, has become by itself."""
    waiting = {file.lead_id: desk.wanted.pop(file.lead_id, None) for file in (leaves, stays)}
    merged = merge(Side(leaves.record, leaves.handoff), Side(stays.record, stays.handoff), desk.now)
    _inherit_snapshot(desk, leaves, stays)
    _keep(desk, leaves, stays, merged, actor)
    wanted = waiting.get(merged.kept_from or "")
    if wanted is not None:
        desk.wanted[leaves.lead_id] = wanted


def _take_split_off(desk: Desk, leaves: LeadFile, stays: LeadFile, parted: Unmerged) -> None:
    """Make the new lead; where the state goes to it, so do clocks, the snapshot and a decision still due."""
    leaves.record, leaves.handoff, leaves.known = parted.leaves.record, parted.leaves.handoff, True
    if parted.state_on == leaves.lead_id:
        _inherit_snapshot(desk, leaves, stays)
        leaves.last_holder = stays.last_holder
        leaves.clocks |= {key: replace(clock, lead_id=leaves.lead_id) for key, clock in stays.clocks.items()}
        stays.clocks.clear()
        wanted = desk.wanted.pop(stays.lead_id, None)
        if wanted is not None:
            desk.wanted[leaves.lead_id] = wanted
    opened = parted.cycle_opened
    cycle = told.CycleOpened(leaves.lead_id, opened.cycle, opened.cut, desk.now, opened.why)
    desk.tell(told.CYCLE_OPENED, leaves.lead_id, lambda: cycle)
