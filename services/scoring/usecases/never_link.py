"""Forbid a link between two identities before it is ever made: what links them never joins their leads."""

from services.scoring.domain.identity import Identity, pair
from services.scoring.usecases.errors import NotSplittable
from services.scoring.usecases.ports import Engine, Stores
from services.scoring.usecases.reclassify import reclassify
from services.scoring.usecases.rescore_leads import rescore_leads
from services.scoring.usecases.settle_leads import settle_leads


async def never_link(one: Identity, other: Identity, stores: Stores, engine: Engine, *, actor: str) -> None:
    """Store a never-link edge. A lead that hangs together by this link alone falls apart."""
    if one == other:
        raise NotSplittable("an identity is always one with itself")
    await stores.identities.lock({one, other}, engine.now)
    await stores.identities.never_link({pair(one, other)}, actor)
    anonymous = {who for who in (one, other) if who.kind == "anonymous"}
    dirty = await stores.timeline.reown(anonymous) if anonymous else set()
    # Who has not been seen yet gets no lead by being named here.
    seen = await stores.leads.belonging({one, other})
    settled = await settle_leads(stores, seen | dirty, engine, links_changed=True)
    dirty |= await reclassify(stores, settled.lead_of, settled.stale, engine)
    if dirty:
        await stores.timeline.rebuild(dirty)
    await rescore_leads(stores, settled.leads, engine)
