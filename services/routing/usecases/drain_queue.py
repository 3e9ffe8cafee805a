"""A woken queue offers its leads in order, until nobody is eligible or nobody is left."""

from dataclasses import dataclass
from datetime import timedelta

from services.routing.domain.decide import Roster, next_wake
from services.routing.domain.eligibility import MemberState, Need, judge
from services.routing.domain.lifecycle import DecisionWanted
from services.routing.domain.policy import Policy
from services.routing.usecases.desk import Desk, Terms
from services.routing.usecases.hand_over_leads import hand_over_leads
from services.routing.usecases.ports import Store

PAGE = 50  # decisions of one transaction: each weighs up to 200 candidates, all within 500 ms
BUSY_RETRY = timedelta(milliseconds=250)  # a lead that somebody holds is offered at the next look


@dataclass(frozen=True, slots=True)
class Page:
    """What came of offering one page: where the next one begins, and whether somebody waits on.

    `full`: there may be leads behind it; `left`: who was offered and waits on; `busy`: some were held by
    somebody and not offered.
    """

    next_offset: int
    full: bool
    left: bool
    busy: bool


async def drain_page(store: Store, queue: str, offset: int) -> Page:
    """Offer one page of a queue in one transaction; `rest_queue` in another one says whether to go on."""
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
    return Page(offset + left + busy, len(ids) == PAGE, left > 0 or offset > 0, busy > 0)


async def rest_queue(store: Store, queue: str, turn: int, page: Page) -> int | None:
    """After a page's transaction: return where the next page begins, or let the queue sleep and return None.

    People are read without locks: whoever changes them wakes the queue, and a queue woken since `turn` was
    read stays due. A transaction of its own, since a page's has locked queues, and people come before those.
    """
    terms = await store.terms()
    roster = await _roster(store, terms, queue)
    if page.full and anyone_free(terms, roster, queue):
        return page.next_offset
    wakes_at = None  # an empty queue, or one that the policy has dropped, sleeps until somebody wakes it
    if (page.left or page.full) and queue in terms.policy.queues:
        wakes_at = next_wake(terms.policy, roster, queue, terms.now)
    if page.busy:
        wakes_at = terms.now + BUSY_RETRY
    await store.settle_queue(queue, turn, wakes_at)
    return None


async def _roster(store: Store, terms: Terms, queue: str) -> Roster:
    policy = terms.policy
    named = {target.id for rule in policy.rules for target in rule.targets if target.kind == "person"}
    return await store.roster(policy, teams_of(policy, queue), sorted(named), terms.now, lock=False)


def teams_of(policy: Policy, queue: str) -> list[str]:
    """Return the teams whose members can free a queue: those it names, all where it names none."""
    known = policy.queues.get(queue)
    return sorted(known.teams if known and known.teams else policy.teams)


def anyone_free(terms: Terms, roster: Roster, queue: str) -> bool:
    """Tell whether any member of the queue's teams could take a lead that asks for nothing special."""
    policy = terms.policy
    people = {person.id: person for team in teams_of(policy, queue) for person in policy.members(team)}
    return any(
        judge(person, roster.members.get(person.id, MemberState()), Need(), policy, terms.now).eligible
        for person in people.values()
    )
