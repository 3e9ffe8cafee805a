"""What the CRM says of a lead: out of order and repeated by nature; never refused, the illegal is parked."""

from dataclasses import dataclass
from datetime import datetime

from services.routing.domain.lifecycle import (
    Actor,
    Command,
    HandoffClosed,
    IllegalMove,
    UnknownReason,
    UnknownStage,
)
from services.routing.usecases.act_on_handoff import NotFound
from services.routing.usecases.carry_out import carry_out
from services.routing.usecases.desk import Desk
from services.routing.usecases.hand_over_leads import hand_over_leads
from services.routing.usecases.ports import Store


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of it: done (`changed`), already so, or parked with the reason."""

    lead_id: str
    state: str
    changed: bool
    parked_id: str | None = None
    why: str = ""


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
    """Apply `command` to the lead's open hand-off, or to the lead. Raises NotFound, nothing else."""
    survivor = (await store.resolve([lead_id])).get(lead_id, lead_id)
    files = await store.lock([survivor])
    if survivor not in files:
        raise NotFound(lead_id)
    file = files[survivor]
    desk = Desk(await store.terms(), files, evidence_at=evidence_at)
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
