"""Bring the activity of leads that were scored with an older model version to the active one."""

from collections.abc import Collection, Mapping

from services.scoring.domain.identity import Identity
from services.scoring.usecases.ports import Engine, Locked, Stores


async def reclassify(
    stores: Stores, lead_of: Mapping[Identity, str], stale: Collection[str], engine: Engine
) -> set[Identity]:
    """Give the rows of stale leads the active model's signals; return the owners to recount."""
    if not stale:
        return set()
    owners = {who for who, lead_id in lead_of.items() if lead_id in stale}
    changed = {}
    for activity, stored in await stores.timeline.of_owners(owners):
        signals = engine.compiled.signals(activity)
        if signals != stored:
            changed[activity.event_id] = signals
    if changed:
        await stores.timeline.set_signals(changed)
    await stores.leads.set_model_version(stale, engine.version)
    return owners


async def recount_stale(stores: Stores, locked: Locked, engine: Engine) -> None:
    """Bring those of the locked leads to the active model that are not there yet."""
    stale = {lead.lead_id for lead in locked.leads.values() if lead.model_version != engine.version}
    owners = await reclassify(stores, locked.lead_of, stale, engine)
    if owners:
        await stores.timeline.rebuild(owners)
