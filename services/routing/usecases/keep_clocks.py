"""Clocks follow the lifecycle: start, stop and cancel them as an outcome asks, and tell what they did."""

from collections.abc import Sequence
from datetime import datetime
from functools import partial

from services.routing.domain import sla
from services.routing.domain.decide import sla_for
from services.routing.domain.lifecycle import ClockChange
from services.routing.domain.policy import ClockKind
from services.routing.domain.sla import Clock, SlaEvent
from services.routing.usecases.desk import Desk
from services.routing.usecases.lead_facts import facts_of
from services.routing.usecases.lead_file import LeadFile
from shared.contracts import handoffs as told
from shared.ids import new_id

TYPES = {
    "warned": told.SLA_WARNED,
    "breached": told.SLA_BREACHED,
    "escalated": told.SLA_ESCALATED,
    "breach_corrected": told.SLA_BREACH_CORRECTED,
}


def change_clocks(desk: Desk, file: LeadFile, changes: Sequence[ClockChange]) -> None:
    """Carry out what an outcome says about clocks, at the desk's instant."""
    for change in changes:
        clock = file.running(change.kind)
        if change.action == "start":
            # The assign clock starts when the decision has found nobody: until then nobody waits.
            if change.kind != "assign" or file.record.queue is not None:
                start_clock(desk, file, change.kind)
        elif clock is not None and change.action == "stop":
            fired = sla.stop(clock, _done_at(desk, clock), desk.now, desk.terms.outages)
            settle(desk, file, fired.clock, fired.events)
        elif clock is not None:
            cancel_clock(desk, file, clock)


def cancel_clock(desk: Desk, file: LeadFile, clock: Clock) -> None:
    """End a clock whose act is not asked of anybody any more; what it owed before is told."""
    fired = sla.cancel(clock, desk.now, desk.terms.outages)
    settle(desk, file, fired.clock, fired.events)


def _done_at(desk: Desk, clock: Clock) -> datetime:
    """Return when the act happened: late evidence may lie before now, never before the clock."""
    if desk.evidence_at is None:
        return desk.now
    return max(clock.started_at, min(desk.evidence_at, desk.now))


def start_clock(desk: Desk, file: LeadFile, kind: ClockKind) -> None:
    """Start a clock of the lead under the terms that hold now; none where the policy keeps none."""
    if file.running(kind) is not None:
        return
    handoff, record = file.handoff, file.record
    if kind == "cool_down":
        until = record.cool_down_until or desk.now
        terms: sla.Terms | None = sla.cool_down_terms(
            max(0, round((until - desk.now).total_seconds())), desk.policy.version
        )
    else:
        terms = sla.terms_for(
            kind,
            sla_for(facts_of(file), desk.policy),
            desk.policy,
            person_id=handoff.person_id if handoff else None,
            team_id=handoff.team_id if handoff else None,
            queue=record.queue,
        )
    if terms is None:
        return
    clock = Clock(
        id=new_id("ck"),
        kind=kind,
        lead_id=record.lead_id,
        cycle=record.cycle,
        terms=terms,
        started_at=desk.now,
        handoff_id=handoff.id if handoff else None,
        person_id=handoff.person_id if handoff else None,
        queue=record.queue,
    )
    file.clocks[clock.id] = clock
    desk.touched.add(file.lead_id)


def settle(desk: Desk, file: LeadFile, clock: Clock, events: Sequence[SlaEvent]) -> None:
    """Keep a clock's new state and tell what it did."""
    file.clocks[clock.id] = clock
    desk.touched.add(file.lead_id)
    if clock.kind == "cool_down":
        return  # nobody's promise: its end shows as a move of the lead
    handoff = desk.closed.get(clock.handoff_id or "") or file.handoff
    team_id = handoff.team_id if handoff else None
    for event in events:
        recipient = sla.recipient_of(
            event.tells, desk.policy, desk.terms.active,
            person_id=clock.person_id, team_id=team_id, queue=clock.queue,
        )  # fmt: skip
        fact = _fact(clock, event, recipient)
        desk.tell(TYPES[event.kind], file.lead_id, partial(_same, fact))


def _same(fact: told.SlaFact) -> told.SlaFact:
    return fact


def _fact(clock: Clock, event: SlaEvent, recipient: str) -> told.SlaFact:
    return told.SlaFact(
        clock_id=clock.id,
        clock=clock.kind,
        lead_id=clock.lead_id,
        cycle=clock.cycle,
        at=event.at,
        due_at=event.target_at,
        started_at=clock.started_at,
        target_seconds=clock.terms.target_seconds,
        calendar_version=clock.terms.calendar_version,
        policy_version=clock.terms.policy_version,
        handoff_id=clock.handoff_id,
        person_id=clock.person_id,
        queue=clock.queue,
        rung=event.rung,
        recipient=recipient,
        action=event.action,
        paused_seconds=sla.paused_seconds(clock, event.at),
        during_outage=event.during_outage,
        met_at=event.met_at,
    )
