"""Decide on every lead that wants a decision: under the locks of its teams, in the order of service."""

from dataclasses import replace

from services.routing.domain.decide import Decision, Roster, backlog_key, decide, teams_touched
from services.routing.domain.eligibility import MemberState, local_date
from services.routing.domain.lifecycle import Actor, Assign, DecisionWanted, Enqueue, PassToCloser
from services.routing.domain.rotation import Rotation
from services.routing.usecases.carry_out import carry_out
from services.routing.usecases.desk import Desk, actor_told, place_of
from services.routing.usecases.keep_clocks import start_clock
from services.routing.usecases.lead_facts import delay_until_offer, facts_of
from services.routing.usecases.lead_file import LeadFile
from services.routing.usecases.ports import Store
from shared.contracts import handoffs as told
from shared.contracts.leads import LeadPerson
from shared.ids import handoff_id, new_id


async def hand_over_leads(desk: Desk, store: Store) -> None:
    """Give every waiting lead of the desk to a person, or put it into a visible queue."""
    if not desk.wanted:
        return
    facts = {lead_id: facts_of(desk.files[lead_id], wanted) for lead_id, wanted in desk.wanted.items()}
    teams = sorted({team for fact in facts.values() for team in teams_touched(fact, desk.policy)})
    named = {fact.only_person for fact in facts.values() if fact.only_person}
    named |= {t.id for rule in desk.policy.rules for t in rule.targets if t.kind == "person"}
    # Whom this transaction takes out of rotation is locked with the others: people have one order.
    named |= desk.out_of_rotation.keys()
    found = await store.roster(desk.policy, teams, sorted(named), desk.now)
    # Carried on in place: a copy for each decision would cost as much as the roster is large.
    members, rotations = dict(found.members), dict(found.rotations)
    _leave_out_the_silent(desk, members)
    roster = Roster(members, rotations)
    for lead_id in sorted(facts, key=lambda one: backlog_key(facts[one])):
        file = desk.files[lead_id]
        decision = decide(facts[lead_id], desk.policy, roster, desk.now)
        if _apply(desk, file, decision, desk.wanted[lead_id]):
            _count_in(desk, members, rotations, decision)
    desk.wanted.clear()


def _leave_out_the_silent(desk: Desk, members: dict[str, MemberState]) -> None:
    """Mark those as out whom this very transaction takes out of rotation."""
    for person_id, until in desk.out_of_rotation.items():
        member = members.get(person_id, MemberState())
        longer = max(until, member.out_of_rotation_until or until)
        members[person_id] = replace(member, out_of_rotation_until=longer)


def _apply(desk: Desk, file: LeadFile, decision: Decision, wanted: DecisionWanted) -> bool:
    """Carry the decision out; True if a person got the lead."""
    actor = Actor("rule", decision.rule)
    record = file.record
    decision_id = new_id("dec")
    if decision.person_id is None:
        if record.state != "qualified":
            return False  # nobody of the closer team is free: the holder stays
        if record.queue != decision.queue:
            desk.decisions[decision_id] = decision
            carry_out(desk, file, Enqueue(decision.queue or desk.policy.last_queue), actor)
            start_clock(desk, file, "assign")
            _follow_queue(file)
        if file.record.queue is not None:
            desk.woken.add(file.record.queue)
        return False
    delay = delay_until_offer(file, desk.now)
    desk.decisions[decision_id] = replace(decision, delay=delay)
    chosen = handoff_id(record.lead_id, record.cycle, record.last_seq + 1)
    place = (chosen, decision.person_id, decision.team_id, decision_id)
    if record.state == "qualified":
        carry_out(desk, file, Assign(*place), actor)
    else:
        outcome = "passed_to_closer" if wanted.only_team else desk.taken_as.get(record.lead_id, "reassigned")
        carry_out(desk, file, PassToCloser(*place, outcome), actor)
    _tell_assigned(desk, file, desk.decisions[decision_id], decision_id, actor)
    return True


def _follow_queue(file: LeadFile) -> None:
    """Let a running assign clock tell the owner of the queue the lead is in now; its terms stay frozen."""
    clock = file.running("assign")
    if clock is not None and clock.queue != file.record.queue:
        file.clocks[clock.id] = replace(clock, queue=file.record.queue)


def _count_in(
    desk: Desk, members: dict[str, MemberState], rotations: dict[str, Rotation], decision: Decision
) -> None:
    """Put the lead on the chosen desk, so that the next decision sees it there."""
    person_id = decision.person_id or ""
    if decision.team_id is not None and decision.rotation is not None:
        rotations[decision.team_id] = desk.rotations[decision.team_id] = decision.rotation
    member = members.get(person_id, MemberState())
    person = desk.policy.people.get(person_id)
    today = local_date(person, desk.now) if person else member.assigned_on
    given = member.assigned_today if member.assigned_on == today else 0
    members[person_id] = replace(
        member, open_load=member.open_load + 1, assigned_on=today, assigned_today=given + 1
    )


def _tell_assigned(desk: Desk, file: LeadFile, decision: Decision, decision_id: str, actor: Actor) -> None:
    handoff, snapshot = file.handoff, file.snapshot
    if handoff is None:
        return
    person = desk.policy.people.get(handoff.person_id)
    assigned = told.HandoffAssigned(
        **place_of(handoff),
        at=desk.now,
        actor=actor_told(actor),
        person_id=handoff.person_id,
        team_id=handoff.team_id,
        decision_id=decision_id,
        reason=decision.reason,
        fit=snapshot.fit if snapshot else 0,
        engagement=snapshot.engagement if snapshot else 0,
        grade=snapshot.grade if snapshot else "",
        lines=snapshot.lines if snapshot else [],
        recent=snapshot.recent if snapshot else [],
        traits=snapshot.traits if snapshot else {},
        due=desk.due_of(file),
        system_delay_seconds=decision.delay.system_seconds if decision.delay else None,
        rep={"name": person.name, "email": person.email, "timezone": person.timezone} if person else {},
        person=snapshot.person if snapshot else LeadPerson(),
    )
    desk.tell(told.ASSIGNED, file.lead_id, lambda: assigned)
