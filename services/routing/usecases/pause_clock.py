"""Pause the clock that a hand-off runs against for a configured reason, or let it run again."""

from services.routing.domain import sla
from services.routing.domain.lifecycle import HandoffClosed
from services.routing.domain.sla import Clock
from services.routing.usecases.act_on_handoff import LeadsMoved, NotFound
from services.routing.usecases.desk import Desk
from services.routing.usecases.keep_clocks import settle
from services.routing.usecases.ports import Store


async def pause_clock(store: Store, handoff_id: str, reason: str | None) -> Clock:
    """Pause (or, with `reason` None, resume) the running clock; return it.

    Raises NotFound, HandoffClosed, and PauseRefused for a reason that the clock's terms do not know.
    """
    handoff = (await store.handoffs([handoff_id])).get(handoff_id)
    if handoff is None:
        raise NotFound(handoff_id)
    files = await store.lock([handoff.lead_id])
    handoff = (await store.handoffs([handoff_id]))[handoff_id]
    if not handoff.is_open:
        raise HandoffClosed(handoff)
    if handoff.lead_id not in files:
        raise LeadsMoved
    file = files[handoff.lead_id]
    desk = Desk(await store.terms(), files)
    clock = next((c for c in file.clocks.values() if c.handoff_id == handoff_id), None)
    if clock is None:
        raise sla.PauseRefused("the hand-off runs against no clock")
    changed = sla.resume(clock, desk.now) if reason is None else sla.pause(clock, reason, desk.now)
    settle(desk, file, changed, ())
    await store.save(desk)
    return changed
