"""A woken queue offers its leads in order, until nobody is eligible or nobody is left."""

from datetime import timedelta

from services.routing.domain.decide import Roster, next_wake
from services.routing.domain.eligibility import MemberState, Need, judge
from services.routing.domain.lifecycle import DecisionWanted
from services.routing.domain.policy import Policy
from services.routing.usecases.desk import Desk
from services.routing.usecases.hand_over_leads import hand_over_leads
from services.routing.usecases.ports import Store

PAGE = 50  # decisions of one transaction: each weighs up to 200 candidates, all within 500 ms
BUSY_RETRY = timedelta(milliseconds=250)  # a lead that somebody holds is offered at the next look


async def drain_page(store: Store, queue: str, turn: int, offset: int) -> int | None:
    """Offer one page of a queue in one transaction; return where to go on, None when the queue is settled."""
    ids = await store.line(queue, PAGE, offset)
    files = await store.lock(ids, skip=True)
    desk = Desk(await store.terms(), files)
    waiting = [lead_id for lead_id, file in files.items() if file.record.queue == queue]
    desk.wanted = {lead_id: DecisionWanted() for lead_id in waiting}
    await hand_over_leads(desk, store)
    desk.woken.discard(queue)
    left = sum(files[lead_id].record.queue == queue for lead_id in waiting)
    busy = len(ids) - len(files)
    await store.save(desk)
    roster = await _roster(store, desk, queue)
    if len(ids) == PAGE and anyone_free(desk, roster, queue):
        return offset + left + busy
    wakes_at = None  # an empty queue, or one that the policy has dropped, sleeps until somebody wakes it
    if (left or offset or len(ids) == PAGE) and queue in desk.policy.queues:
        wakes_at = next_wake(desk.policy, roster, queue, desk.now)
    if busy:
        wakes_at = desk.now + BUSY_RETRY
    await store.settle_queue(queue, turn, wakes_at)
    return None


async def _roster(store: Store, desk: Desk, queue: str) -> Roster:
    named = {target.id for rule in desk.policy.rules for target in rule.targets if target.kind == "person"}
    return await store.roster(desk.policy, teams_of(desk.policy, queue), sorted(named), desk.now)


def teams_of(policy: Policy, queue: str) -> list[str]:
    """Return the teams whose members can free a queue: those it names, all where it names none."""
    known = policy.queues.get(queue)
    return sorted(known.teams if known and known.teams else policy.teams)


def anyone_free(desk: Desk, roster: Roster, queue: str) -> bool:
    """Tell whether any member of the queue's teams could take a lead that asks for nothing special."""
    policy = desk.policy
    people = {person.id: person for team in teams_of(policy, queue) for person in policy.members(team)}
    return any(
        judge(person, roster.members.get(person.id, MemberState()), Need(), policy, desk.now).eligible
        for person in people.values()
    )
