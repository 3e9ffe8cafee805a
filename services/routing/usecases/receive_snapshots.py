"""Take in what scoring says about leads: snapshots, merges and unmerges, in whatever order they arrive."""

from collections.abc import Iterable, Sequence

from services.routing.domain.lifecycle import Actor, DecisionWanted
from services.routing.usecases.act_on_handoff import LeadsMoved
from services.routing.usecases.carry_out import carry_out
from services.routing.usecases.desk import Desk
from services.routing.usecases.hand_over_leads import hand_over_leads
from services.routing.usecases.lead_facts import evaluation_of, facts_of
from services.routing.usecases.merge_leads import merge_pair, split_lead
from services.routing.usecases.ports import Store
from shared.contracts.leads import LeadMerged, LeadScored, LeadUnmerged

Message = LeadScored | LeadMerged | LeadUnmerged

SCORING = Actor("rule", "snapshot")


async def receive_snapshots(store: Store, messages: Sequence[Message]) -> Desk:
    """Handle a batch in one transaction: redirects, latest snapshots, lifecycle, decisions. Saves."""
    pairs = list(_pairs(messages))
    named = {lead_id for pair in pairs for lead_id in pair} | {message.lead_id for message in messages}
    for message in messages:
        if isinstance(message, LeadUnmerged):
            named |= {message.new_lead_id}
    gone = await store.resolve(sorted(named))
    wanted = {gone.get(lead_id, lead_id) for lead_id in named}
    files = await store.lock(sorted(wanted), create=True)
    if len(files) != len(wanted) or set(await store.resolve(sorted(wanted))):
        raise LeadsMoved
    desk = Desk(await store.terms(), files, redirects=dict(gone))
    split = [message.new_lead_id for message in messages if isinstance(message, LeadUnmerged)]
    desk.split = dict(await store.splits(split)) if split else {}
    for message in messages:
        _take_in(desk, message)
    _drop_unknown(desk)
    await hand_over_leads(desk, store)
    await store.save(desk)
    return desk


def _pairs(messages: Iterable[Message]) -> Iterable[tuple[str, str]]:
    """Yield (loser, survivor) of every merge that a message tells or shows."""
    for message in messages:
        if isinstance(message, LeadMerged):
            yield message.lead_id, message.survivor_id
        elif isinstance(message, LeadScored):
            for loser in message.merged_ids:
                yield loser, message.lead_id


def _take_in(desk: Desk, message: Message) -> None:
    if isinstance(message, LeadMerged):
        merge_pair(desk, message.lead_id, message.survivor_id, SCORING)
    elif isinstance(message, LeadUnmerged):
        split_lead(desk, message, SCORING)
    else:
        # The merges a snapshot shows hold even where the snapshot itself is an old one.
        for loser in message.merged_ids:
            merge_pair(desk, loser, message.lead_id, SCORING)
        _take_snapshot(desk, message)


def _take_snapshot(desk: Desk, snapshot: LeadScored) -> None:
    if desk.survivor_of(snapshot.lead_id) != snapshot.lead_id:
        return  # a redirected id never acts again
    file = desk.files[snapshot.lead_id]
    if (snapshot.epoch, snapshot.revision) <= (file.epoch, file.revision) or file.record.state == "erased":
        return
    known_before = facts_of(file) if file.record.queue is not None else None
    file.epoch, file.revision, file.snapshot = snapshot.epoch, snapshot.revision, snapshot
    file.known = True
    desk.snapshots[file.lead_id] = snapshot
    desk.touched.add(file.lead_id)
    outcome = carry_out(desk, file, evaluation_of(snapshot), SCORING)
    if outcome.changed and file.record.state != "qualified":
        desk.wanted.pop(file.lead_id, None)
    if file.record.queue is not None and facts_of(file) != known_before:
        # What the rules read has changed: a lead that waited for data must not wait for the queue's wake too.
        desk.wanted.setdefault(file.lead_id, DecisionWanted())


def _drop_unknown(desk: Desk) -> None:
    """Forget the rows that the lock made for ids of which nothing is known after all."""
    desk.unknown = {
        lead_id for lead_id, file in desk.files.items()
        if not file.known and lead_id not in desk.touched and lead_id not in desk.redirects
    }  # fmt: skip
