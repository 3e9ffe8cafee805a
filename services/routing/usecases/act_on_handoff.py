"""One act of a person, a key or the CRM on a hand-off or a lead: lock the lead, apply, decide again, save."""

from dataclasses import dataclass
from datetime import datetime

from services.routing.domain.lifecycle import Actor, Command, Handoff, HandoffClosed
from services.routing.usecases.carry_out import carry_out
from services.routing.usecases.desk import Desk
from services.routing.usecases.hand_over_leads import hand_over_leads
from services.routing.usecases.lead_file import LeadFile
from services.routing.usecases.ports import Store
from services.routing.usecases.take_late_evidence import LateEvidence, take_late_evidence


class NotFound(Exception):
    """No hand-off or lead of that id."""


class LeadsMoved(Exception):
    """A lead was merged or split between reading and locking: do it again in a new transaction."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the caller is told: `handoff` is the one acted upon, as it is. `said`: an answer given before.

    `late`: the hand-off was closed already, and what is told of the time before was recorded.
    """

    handoff: Handoff | None
    desk: Desk
    changed: bool
    said: str | None = None
    late: LateEvidence | None = None


async def act_on_handoff(
    store: Store,
    handoff_id: str,
    command: Command,
    actor: Actor,
    act: str,
    *,
    evidence_at: datetime | None = None,
) -> Answer:
    """Apply `command` to a hand-off; `evidence_at`: when it happened, if that is told later.

    Raises NotFound and the lifecycle's refusals.

    The instant is taken once the lead is locked, so that an act and a breach at the same instant have one
    order: that of the lock.
    """
    handoff = (await store.handoffs([handoff_id])).get(handoff_id)
    if handoff is None:
        raise NotFound(handoff_id)
    lead_id = (await store.resolve([handoff.lead_id])).get(handoff.lead_id, handoff.lead_id)
    files = await store.lock([lead_id])
    handoff = (await store.handoffs([handoff_id]))[handoff_id]
    if lead_id not in files or (handoff.is_open and handoff.lead_id != lead_id):
        raise LeadsMoved
    file = files[lead_id]
    desk = Desk(await store.terms(), files, evidence_at=evidence_at)
    try:
        outcome = carry_out(desk, file, command, actor, handoff)
    except HandoffClosed:
        late = await take_late_evidence(store, desk, file, handoff, command)
        if late is None:
            raise
        if late.changed:
            await store.save(desk)
        said = None if late.changed else await store.said(handoff_id, act, actor.identity)
        return Answer(late.handoff, desk, late.changed, said, late)
    if not outcome.changed:
        return Answer(handoff, desk, False, await store.said(handoff_id, act, actor.identity))
    await hand_over_leads(desk, store)
    await store.save(desk)
    return Answer(desk.latest(handoff_id, file), desk, True)


async def act_on_lead(store: Store, lead_id: str, command: Command, actor: Actor) -> Answer:
    """Apply `command` to a lead itself (reopen, disqualify, recycle a lost one). Raises as above."""
    file = await lock_lead(store, lead_id)
    desk = Desk(await store.terms(), {file.lead_id: file})
    outcome = carry_out(desk, file, command, actor)
    if outcome.changed:
        await hand_over_leads(desk, store)
        await store.save(desk)
    return Answer(file.handoff, desk, outcome.changed)


async def lock_lead(store: Store, lead_id: str) -> LeadFile:
    """Lock the lead that an id stands for. Raises NotFound, and LeadsMoved where it was merged meanwhile."""
    survivor = (await store.resolve([lead_id])).get(lead_id, lead_id)
    files = await store.lock([survivor])
    if survivor in files:
        return files[survivor]
    # Whoever held the lock may have merged it away.
    raise LeadsMoved if await store.resolve([survivor]) else NotFound(lead_id)
