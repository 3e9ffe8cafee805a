"""What the CRM says of a lead: out of order and repeated by nature; never refused, the illegal is parked."""

from dataclasses import dataclass
from datetime import datetime

from services.routing.domain.lifecycle import (
    Accept,
    Actor,
    Command,
    Contact,
    Handoff,
    HandoffClosed,
    IllegalMove,
    UnknownReason,
    UnknownStage,
)
from services.routing.domain.policy import ClockKind
from services.routing.usecases.act_on_handoff import lock_lead
from services.routing.usecases.carry_out import carry_out
from services.routing.usecases.desk import Desk
from services.routing.usecases.hand_over_leads import hand_over_leads
from services.routing.usecases.lead_file import LeadFile
from services.routing.usecases.ports import Store
from services.routing.usecases.take_late_evidence import take_late_evidence


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of it: done (`changed`), already so, or parked with the reason.

    `handoff_id` names a closed hand-off on which late evidence was recorded, `successor_id` the one that
    followed it, and `corrected` the clocks whose breach that corrects.
    """

    lead_id: str
    state: str
    changed: bool
    parked_id: str | None = None
    why: str = ""
    handoff_id: str | None = None
    successor_id: str | None = None
    corrected: tuple[ClockKind, ...] = ()


async def take_feedback(
    store: Store,
    lead_id: str,
    act: str,
    command: Command,
    actor: Actor,
    body: dict[str, object],
    *,
    evidence_at: datetime | None = None,
) -> Taken:
    """Apply `command` to the lead's open hand-off, or to the lead. Raises NotFound and LeadsMoved only."""
    file = await lock_lead(store, lead_id)
    survivor = file.lead_id
    desk = Desk(await store.terms(), {survivor: file}, evidence_at=evidence_at)
    earlier = await _earlier(store, file, command, actor, evidence_at)
    late = await take_late_evidence(store, desk, file, earlier, command) if earlier else None
    if earlier is not None and late is not None:
        if late.changed:
            await store.save(desk)
        return Taken(
            survivor, file.record.state, late.changed,
            handoff_id=earlier.id, successor_id=earlier.successor_id, corrected=late.corrected,
        )  # fmt: skip
    try:
        outcome = carry_out(desk, file, command, actor)
    except (IllegalMove, HandoffClosed, UnknownReason, UnknownStage) as refused:
        why = str(refused)
        parked = await store.park(survivor, act, body, why, actor, desk.now)
        return Taken(survivor, file.record.state, False, parked, why)
    if outcome.changed:
        await hand_over_leads(desk, store)
        await store.save(desk)
    return Taken(survivor, file.record.state, outcome.changed)


async def _earlier(
    store: Store, file: LeadFile, command: Command, actor: Actor, evidence_at: datetime | None
) -> Handoff | None:
    """Return the closed hand-off that evidence of an earlier instant is about; None for the present one."""
    if evidence_at is None or not isinstance(command, Accept | Contact):
        return None
    if file.handoff is not None and evidence_at >= file.handoff.assigned_at:
        return None
    earlier = await store.handoff_at(file.lead_id, evidence_at)
    return earlier if earlier is not None and actor.by in (None, earlier.person_id) else None
