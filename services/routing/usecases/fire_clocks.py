"""Fire what is due on locked leads: warnings, breaches, ladders; a cool-down's end brings the lead back."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from services.routing.domain import sla
from services.routing.domain.lifecycle import Actor, CoolDownEnd, Reassign, legal_acts
from services.routing.domain.sla import Clock, SlaEvent
from services.routing.usecases.carry_out import carry_out
from services.routing.usecases.desk import Desk
from services.routing.usecases.hand_over_leads import hand_over_leads
from services.routing.usecases.keep_clocks import settle
from services.routing.usecases.lead_facts import evaluation_of
from services.routing.usecases.lead_file import LeadFile
from services.routing.usecases.ports import Store


@dataclass(slots=True)
class Firing:
    """How many clocks fired, and how late each breach was recorded, in seconds."""

    fired: int = 0
    lateness: list[float] = field(default_factory=list)


async def fire_clocks(store: Store, lead_ids: Sequence[str]) -> Firing:
    """Lock the leads nobody else holds and fire their due clocks, in one transaction.

    A clock is re-read under its lead's lock: what an act has stopped meanwhile does not fire.
    """
    files = await store.lock(lead_ids, skip=True)
    desk = Desk(await store.terms(), files)
    # An outage learnt of since may have put a step off: its stored instant is then computed anew.
    desk.touched |= files.keys()
    firing = Firing()
    for file in files.values():
        for clock in list(file.clocks.values()):
            due = sla.next_due(clock, desk.terms.outages)
            if file.clocks[clock.id].state == "running" and due is not None and due <= desk.now:
                firing.fired += 1
                firing.lateness += _fire(desk, file, clock)
    await hand_over_leads(desk, store)
    await store.save(desk)
    return firing


def _fire(desk: Desk, file: LeadFile, clock: Clock) -> list[float]:
    """Fire one clock; return the lateness of its breach, if that is among what happened."""
    actor = Actor("clock", clock.kind)
    if clock.kind == "cool_down":
        snapshot = evaluation_of(file.snapshot) if file.snapshot else None
        carry_out(desk, file, CoolDownEnd(snapshot), actor)
        return []
    fired = sla.fire(clock, desk.now, desk.terms.outages)
    events = [_guarded(file, clock, event) for event in fired.events]
    settle(desk, file, fired.clock, events)
    for event in events:
        if event.kind == "escalated":
            _act(desk, file, clock, event, actor)
    breaches = [event for event in events if event.kind == "breached"]
    return [(desk.now - breach.target_at).total_seconds() for breach in breaches]


def _guarded(file: LeadFile, clock: Clock, event: SlaEvent) -> SlaEvent:
    """The loop guard, and a lead whose state knows no reassignment: then the ladder only tells."""
    action = sla.guarded_action(event, clock.terms, file.record.reassigns)
    if action == "reassign" and action not in legal_acts(file.record.state):
        action = "notify"
    return replace(event, action=action)


def _act(desk: Desk, file: LeadFile, clock: Clock, event: SlaEvent, actor: Actor) -> None:
    if event.action == "out_of_rotation" and clock.person_id is not None:
        desk.take_out_of_rotation(clock.person_id, clock.terms.out_of_rotation_seconds)
    elif event.action == "reassign":
        desk.taken_as[file.lead_id] = "timed_out"
        carry_out(desk, file, Reassign(ladder=True), actor)
