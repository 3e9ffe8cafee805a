"""Take routing's word for cycle and cut: store them on the lead's identities of this moment, score, echo."""

from collections.abc import Sequence
from datetime import datetime

from services.scoring.domain.identity import Identity
from services.scoring.usecases.ports import ConcurrentChange, Engine, Locked, Stores
from services.scoring.usecases.reclassify import recount_stale
from services.scoring.usecases.rescore_leads import rescore_leads
from shared.contracts.handoffs import CycleOpened


async def open_cycles(messages: Sequence[CycleOpened], stores: Stores, engine: Engine) -> None:
    """Apply a batch of cycles in any order: the highest cycle and the latest cut hold; earlier ones are kept.

    A merged lead's cycle goes to its survivor; a lead unknown here is left out (nothing to score).
    """
    if not messages:
        return
    asked = {message.lead_id for message in messages}
    survivors = await stores.leads.survivors(asked)
    locked = await stores.leads.lock((), set(survivors.values()))
    if await stores.leads.survivors(asked) != survivors:
        raise ConcurrentChange("a lead was merged while its cycle was being opened")
    cuts = _cuts(messages, survivors, members_by_lead(locked))
    if cuts:
        await stores.leads.set_cuts(cuts)
        await recount_stale(stores, locked, engine)
        await rescore_leads(stores, set(locked.leads), engine)


def _cuts(
    messages: Sequence[CycleOpened], survivors: dict[str, str], members: dict[str, set[Identity]]
) -> dict[tuple[Identity, int], datetime | None]:
    """Return each identity's cut by cycle, so that a score of an earlier instant is cut as it was then."""
    cuts: dict[tuple[Identity, int], datetime | None] = {}
    for message in messages:
        for identity in members.get(survivors[message.lead_id], ()):
            told = (cuts.get((identity, message.cycle)), message.cut)
            cuts[identity, message.cycle] = max((cut for cut in told if cut is not None), default=None)
    return cuts


def members_by_lead(locked: Locked) -> dict[str, set[Identity]]:
    """Return the identities of each locked lead."""
    members: dict[str, set[Identity]] = {}
    for identity, lead_id in locked.lead_of.items():
        members.setdefault(lead_id, set()).add(identity)
    return members
