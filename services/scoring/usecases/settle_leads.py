"""Settle which lead each identity belongs to after links changed: mint, merge, split, announce."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from services.scoring.domain.identity import Identity, LeadSeed, Pair, survivor
from services.scoring.usecases.ports import Engine, LeadRow, Locked, Merge, Split, Stores


@dataclass(slots=True)
class Settled:
    """Locked leads as they are now, and where each of their identities belongs."""

    leads: set[str] = field(default_factory=set)
    lead_of: dict[Identity, str] = field(default_factory=dict)
    stale: set[str] = field(default_factory=set)
    merges: list[Merge] = field(default_factory=list)
    splits: list[Split] = field(default_factory=list)


@dataclass(slots=True)
class Plan:
    """What has to change: `lead_of` names a new lead where `created` lists it."""

    lead_of: dict[Identity, str] = field(default_factory=dict)
    created: list[str] = field(default_factory=list)
    merges: list[Merge] = field(default_factory=list)
    splits: list[Split] = field(default_factory=list)
    leaves: dict[Identity, Identity] = field(default_factory=dict)


async def settle_leads(
    stores: Stores,
    touched: Collection[Identity],
    engine: Engine,
    *,
    links_changed: bool,
    leaving: Collection[Identity] = (),
) -> Settled:
    """Lock the leads of `touched`; where links changed, move identities until leads are connected components.

    `leaving`: identities that an unmerge takes away, so that the lead's id stays with the others.
    """
    locked = await stores.leads.lock(touched)
    stale = {lead.lead_id for lead in locked.leads.values() if lead.model_version != engine.version}
    if not links_changed and not locked.homeless:
        return Settled(set(locked.leads), locked.lead_of, stale)
    plan = await _plan(stores, locked, engine, leaving)
    await _apply(stores, locked, plan, engine)
    losers = {merge.loser for merge in plan.merges}
    lead_of = {who: lead for who, lead in (locked.lead_of | plan.lead_of).items() if who not in plan.leaves}
    versions = stale - losers
    # A merged lead of an older model brings counts of that model along.
    versions |= {merge.survivor for merge in plan.merges if merge.loser in stale}
    versions |= {split.new_lead_id for split in plan.splits if split.lead_id in stale}
    leads = (set(locked.leads) | set(plan.created)) - losers
    return Settled(leads, lead_of, versions, plan.merges, plan.splits)


async def _plan(stores: Stores, locked: Locked, engine: Engine, leaving: Collection[Identity]) -> Plan:
    members = set(locked.lead_of) | locked.homeless
    people = {identity for identity in members if identity.kind != "anonymous"}
    anonymous = members - people
    owners = await stores.identities.first_owners(anonymous) if anonymous else {}
    pairs = await stores.identities.joined_pairs(people) if people else []
    groups = _components(people, pairs)
    groups.extend({identity} for identity in anonymous if identity not in owners)
    return plan_leads(groups, locked, owners, engine, leaving)


def _components(people: Iterable[Identity], pairs: Iterable[Pair]) -> list[set[Identity]]:
    """Return the connected components over effective links (`domain.identity.components` in bulk form)."""
    group_of = {identity: {identity} for identity in people}
    for a, b in pairs:
        one, other = group_of[a], group_of[b]
        if one is not other:
            small, large = sorted((one, other), key=len)
            large |= small
            for identity in small:
                group_of[identity] = large
    return list({id(group): group for group in group_of.values()}.values())


def plan_leads(
    groups: Collection[set[Identity]],
    locked: Locked,
    owners: Mapping[Identity, Identity],
    engine: Engine,
    leaving: Collection[Identity] = (),
) -> Plan:
    """Decide which lead id each group keeps: a lead's id stays where its anchor, the lowest who stays, is."""
    plan = Plan(
        leaves={a: owner for a, owner in owners.items() if a in locked.lead_of or a in locked.homeless}
    )
    group_at = {identity: number for number, group in enumerate(groups) for identity in group}
    kept: dict[int, list[LeadRow]] = {}
    for lead_id, members in _by_lead(locked).items():
        anchor = min(members - set(leaving) or members, key=lambda who: (who.kind == "anonymous", who))
        kept.setdefault(group_at[owners.get(anchor, anchor)], []).append(locked.leads[lead_id])
    for number, group in enumerate(groups):
        _place(plan, group, kept.get(number, []), locked, engine)
    return plan


def _by_lead(locked: Locked) -> dict[str, set[Identity]]:
    members: dict[str, set[Identity]] = {}
    for identity, lead_id in locked.lead_of.items():
        members.setdefault(lead_id, set()).add(identity)
    return members


def _place(plan: Plan, group: set[Identity], kept: list[LeadRow], locked: Locked, engine: Engine) -> None:
    if kept:
        lead_id = survivor(LeadSeed(lead.lead_id, lead.created_at) for lead in kept).lead_id
        plan.merges.extend(Merge(lead.lead_id, lead_id) for lead in kept if lead.lead_id != lead_id)
    else:
        lead_id = engine.new_lead_id()
        plan.created.append(lead_id)
        left = sorted({locked.lead_of[who] for who in group if who in locked.lead_of})
        plan.splits.extend(Split(old, lead_id) for old in left)
    for identity in group:
        if locked.lead_of.get(identity) != lead_id:
            plan.lead_of[identity] = lead_id


async def _apply(stores: Stores, locked: Locked, plan: Plan, engine: Engine) -> None:
    if plan.created:
        await stores.leads.create(plan.created, engine.now, engine.version)
    if plan.lead_of or plan.leaves:
        await stores.leads.move(plan.lead_of, plan.leaves)
    if plan.merges:
        known = [
            (merge, locked.leads[merge.loser].revision + 1)
            for merge in plan.merges
            if locked.leads[merge.loser].published
        ]
        await stores.leads.redirect(plan.merges, engine.now)
        await stores.leads.announce_merges(known, epoch=engine.epoch, now=engine.now)
    told = Counter(merge.loser for merge in plan.merges)
    for split in plan.splits:
        lead = locked.leads[split.lead_id]
        if lead.published:
            told[lead.lead_id] += 1
            await _announce_split(stores, lead, split, engine, revision=lead.revision + told[lead.lead_id])


async def _announce_split(
    stores: Stores, lead: LeadRow, split: Split, engine: Engine, *, revision: int
) -> None:
    goes_to = lead.lead_id
    owner = await stores.timeline.owner_of(lead.entered_event_id) if lead.entered_event_id else None
    if owner is not None and owner in await stores.leads.members(split.new_lead_id):
        goes_to = split.new_lead_id
    await stores.leads.announce_split(
        split, revision=revision, handoff_goes_to=goes_to, epoch=engine.epoch, now=engine.now
    )
