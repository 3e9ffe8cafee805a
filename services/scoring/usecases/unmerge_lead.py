"""Take identities out of a lead: never-link edges across, and a newly minted lead for those who leave."""

from collections.abc import Collection
from dataclasses import dataclass

from services.scoring.domain.identity import Identity, crossing_pairs
from services.scoring.usecases.errors import NotSplittable, UnknownLead
from services.scoring.usecases.ports import ConcurrentChange, Engine, Stores
from services.scoring.usecases.reclassify import reclassify
from services.scoring.usecases.rescore_leads import rescore_leads
from services.scoring.usecases.settle_leads import settle_leads


@dataclass(frozen=True, slots=True)
class Unmerged:
    """The lead that keeps its id, and the lead of those who left."""

    lead_id: str
    new_lead_id: str


async def unmerge_lead(
    lead_id: str, part: Collection[Identity], stores: Stores, engine: Engine, *, actor: str
) -> Unmerged:
    """Split `part` off the lead for good: no later link between the two sides joins them again.

    Anonymous ids follow their owners by time. Raises UnknownLead, NotSplittable.
    """
    keeper = (await stores.leads.survivors([lead_id]))[lead_id]
    members = await stores.leads.members(keeper)
    if not members:
        raise UnknownLead(f"no lead {lead_id}")
    rest = members - set(part)
    if not part or not set(part) <= members or not rest:
        raise NotSplittable("name some, not all, of the lead's user ids and e-mails")
    await stores.identities.lock(members, engine.now)
    if await stores.leads.members(keeper) != members:
        raise ConcurrentChange("the lead changed while it was being split")
    await stores.identities.never_link(crossing_pairs(set(part), rest), actor)
    anonymous = await stores.identities.anonymous_of(members)
    dirty = await stores.timeline.reown(anonymous) if anonymous else set()
    settled = await settle_leads(stores, members | dirty, engine, links_changed=True, leaving=part)
    dirty |= await reclassify(stores, settled.lead_of, settled.stale, engine)
    if dirty:
        await stores.timeline.rebuild(dirty)
    await rescore_leads(stores, settled.leads, engine)
    return Unmerged(keeper, settled.lead_of[min(part)])
