"""Merge two leads by hand: a link that no activity asserts; never-link edges between them are lifted."""

from uuid import uuid4

from services.scoring.domain.identity import Identity, crossing_pairs, is_role_address, pair
from services.scoring.usecases.errors import NotMergeable, UnknownLead
from services.scoring.usecases.ports import ConcurrentChange, Engine, Stores
from services.scoring.usecases.reclassify import reclassify
from services.scoring.usecases.rescore_leads import rescore_leads
from services.scoring.usecases.settle_leads import settle_leads


async def merge_leads(lead_id: str, other_id: str, stores: Stores, engine: Engine) -> str:
    """Join two leads and return the id that survives: the older lead's. Raises UnknownLead, NotMergeable."""
    one, other = await _members(lead_id, stores), await _members(other_id, stores)
    if one == other:
        raise NotMergeable("the two ids are one lead already")
    await stores.identities.lock(one | other, engine.now)
    if (await _members(lead_id, stores), await _members(other_id, stores)) != (one, other):
        raise ConcurrentChange("the leads changed while they were being merged")
    ends = _joining_end(one), _joining_end(other)
    if all(end.kind == "anonymous" for end in ends):
        raise NotMergeable("two anonymous visitors are never merged: neither names a person")
    await stores.identities.allow_link(crossing_pairs(one, other))
    await stores.identities.link_by_hand(pair(*ends), str(uuid4()))
    anonymous = {who for who in ends if who.kind == "anonymous"}
    anonymous |= await stores.identities.anonymous_of(one | other)
    dirty = await stores.timeline.reown(anonymous) if anonymous else set()
    settled = await settle_leads(stores, one | other | dirty, engine, links_changed=True)
    dirty |= await reclassify(stores, settled.lead_of, settled.stale, engine)
    if dirty:
        await stores.timeline.rebuild(dirty)
    await rescore_leads(stores, settled.leads, engine)
    return settled.lead_of[next(end for end in ends if end.kind != "anonymous")]


async def _members(lead_id: str, stores: Stores) -> frozenset[Identity]:
    survivor = (await stores.leads.survivors([lead_id]))[lead_id]
    members = await stores.leads.members(survivor)
    if not members:
        raise UnknownLead(f"no lead {lead_id}")
    return members


def _joining_end(members: frozenset[Identity]) -> Identity:
    """Return the identity to link: a user id or e-mail that may join, else an anonymous id."""
    joining = [member for member in members if not is_role_address(member)]
    if not joining:
        raise NotMergeable("a role address never joins")
    return min(joining, key=lambda who: (who.kind == "anonymous", who))
