"""Score anew the leads whose time has come: a crossing is due, or the model or the epoch moved on."""

from collections.abc import Collection

from services.scoring.usecases.ports import Engine, Stores
from services.scoring.usecases.reclassify import recount_stale
from services.scoring.usecases.rescore_leads import rescore_leads


async def rescore_due(
    lead_ids: Collection[str], stores: Stores, engine: Engine, *, force: bool = False
) -> int:
    """Score those of `lead_ids` that nobody else holds; return how many. A busy lead waits for the next poll.

    `force` announces them all: a new epoch makes the old snapshots void.
    """
    idle = await stores.leads.lock_idle(lead_ids)
    if not idle:
        return 0
    locked = await stores.leads.lock((), idle)
    await recount_stale(stores, locked, engine)
    await rescore_leads(stores, set(locked.leads), engine, force=force)
    return len(locked.leads)
