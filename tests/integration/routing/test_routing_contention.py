"""Eight at once on the same leads, and a thousand accepts at the very instant of their deadline."""

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TypeVar

import asyncpg
import pytest_asyncio

from services.routing.domain import lifecycle
from services.routing.domain.lifecycle import Actor
from services.routing.domain.policy import Policy, Rung
from services.routing.usecases.act_on_handoff import Answer, LeadsMoved, act_on_handoff
from services.routing.usecases.fire_clocks import fire_clocks
from shared.contracts import handoffs as told
from shared.db.database import Database, Transaction
from shared.db.pool import create_pool
from tests.integration.routing.desk_support import Office, a_policy, a_snapshot, merged

REPS = tuple(f"rep{number}" for number in range(8))
AT_ONCE = 8
ACCEPTS = 1000
ACCEPT_SECONDS = 300
T = TypeVar("T")


@pytest_asyncio.fixture
async def office(database_url: str) -> AsyncIterator[Office]:
    """An office with a connection for everybody who works at once; nobody dies in a deadlock."""
    pool = await create_pool(database_url, service="routing", min_size=0, max_size=3 * AT_ONCE)
    opened = Office(Database(pool, "routing"))
    await opened.publish(a_policy(*REPS))
    yield opened
    await pool.close()
    owner = await asyncpg.connect(database_url)
    try:
        deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        assert await owner.fetchval(deadlocks) == 0
    finally:
        await owner.close()


async def patiently(work: Callable[[], Awaitable[T]]) -> T:
    """Do it again where a merge moved the lead or a lock took too long, as consumers and callers do.

    A deadlock is not forgiven.
    """
    while True:
        try:
            return await work()
        except (LeadsMoved, asyncpg.LockNotAvailableError):
            continue


async def test_eight_routers_with_overlapping_and_repeated_batches_hand_each_lead_over_once(
    office: Office,
) -> None:
    leads = [f"ld_{number:03}" for number in range(64)]

    async def router(seed: int) -> None:
        rng = random.Random(seed)
        for _ in range(12):
            batch = [a_snapshot(lead) for lead in rng.choices(leads, k=16)]
            await patiently(partial(office.receive, *batch))
        everything = [a_snapshot(lead) for lead in rng.sample(leads, len(leads))]
        await patiently(partial(office.receive, *everything))

    await asyncio.gather(*(router(seed) for seed in range(AT_ONCE)))

    assigned = Counter(event["lead_id"] for _, event in await office.told(told.ASSIGNED))
    assert assigned == Counter(leads)
    assert len(await office.told(told.QUALIFIED)) == len(leads)
    assert await office.problems() == []
    per_rep = len(leads) // len(REPS)
    async with office.database.transaction() as tx:
        policy = (await office.store_of(tx, office.now).terms()).policy
        roster = await office.store_of(tx, office.now).roster(policy, ["team"], [], office.now)
    standings = roster.rotations["team"].standings
    assert {rep: standings[rep].assigned for rep in REPS} == dict.fromkeys(REPS, per_rep), "counted once"
    assert {rep: roster.members[rep].open_load for rep in REPS} == dict.fromkeys(REPS, per_rep)


def at_the_target(policy: Policy) -> Policy:
    """The same policy, whose ladder takes the lead away at the very instant of the breach."""
    (sla,) = policy.sla
    accept = replace(sla.clocks["accept"], ladder=(Rung(0, "rep", "reassign"),))
    return replace(policy, sla=(replace(sla, clocks={**sla.clocks, "accept": accept}, max_reassigns=2),))


async def test_a_thousand_accepts_at_the_instant_of_the_deadline_have_one_outcome_each(
    office: Office,
) -> None:
    leads = [f"ld_{number:04}" for number in range(ACCEPTS)]
    for start in range(0, ACCEPTS, 100):
        if start == ACCEPTS // 2:
            await office.publish(at_the_target(a_policy(*REPS, version="p2")))
        await office.receive(*(a_snapshot(lead) for lead in leads[start : start + 100]))
    office.now += timedelta(seconds=ACCEPT_SECONDS)
    handed = {event["lead_id"]: event for _, event in await office.told(told.ASSIGNED)}
    waiting = iter(leads)
    rng = random.Random(1)
    heard: dict[str, str] = {}

    async def everybody() -> None:
        for lead in waiting:
            offered = handed[lead]
            merges = rng.randrange(4) == 0
            meeting = Meeting(2 + merges, rng)
            works = [
                accept(office, meeting, offered["handoff_id"], offered["person_id"]),
                fire(office, meeting, lead),
            ]
            if merges:
                works.append(merge(office, meeting, lead))
            heard[offered["handoff_id"]], *_ = await asyncio.gather(*works)

    await asyncio.gather(*(everybody() for _ in range(AT_ONCE)))
    while await office.timers.turn(office.now):
        pass

    verdicts = await verdicts_of(office)
    assert len(heard) == ACCEPTS
    outcomes = Counter((heard[handoff], verdicts[handoff]) for handoff in heard)
    assert outcomes.keys() <= {
        ("accepted", ("accepted",)),
        ("accepted", ("breached", "breach_corrected", "accepted")),
        ("timed_out, followed by another", ("breached", "closed")),
    }, outcomes
    assert min(Counter(said for said, _ in outcomes.elements()).values()) > ACCEPTS // 20, outcomes
    assert len(outcomes) == 3, "each order of the two came about"
    assert await office.problems() == []


class Meeting:
    """Begins the works on one lead together, each with a transaction open and a few statements of lead."""

    def __init__(self, parties: int, rng: random.Random) -> None:
        self._barrier = asyncio.Barrier(parties)
        self._rng = rng

    async def begin(self, tx: Transaction, at_most: int = 4) -> None:
        """Wait for the others, then for as many answers of the server as the dice say."""
        await tx.connection.fetchval("SELECT 1")
        await self._barrier.wait()
        for _ in range(self._rng.randrange(at_most)):
            await tx.connection.fetchval("SELECT 1")


async def accept(office: Office, meeting: Meeting, handoff_id: str, rep: str) -> str:
    """Accept; return `accepted`, or how the hand-off had ended."""
    met = False

    async def once() -> Answer:
        nonlocal met
        async with office.database.transaction() as tx:
            if not met:
                met = True
                await meeting.begin(tx)
            store = office.store_of(tx, office.now)
            return await act_on_handoff(store, handoff_id, lifecycle.Accept(), Actor("person", rep), "accept")

    try:
        answer = await patiently(once)
    except lifecycle.HandoffClosed as closed:
        return f"{closed.handoff.outcome}, followed by {'another' if closed.successor_id else 'none'}"
    assert answer.changed
    return "accepted"


async def fire(office: Office, meeting: Meeting, lead: str) -> str:
    """The timer on one lead: it has fewer questions than an accept before it locks the lead."""
    async with office.database.transaction() as tx:
        await meeting.begin(tx, 8)
        await fire_clocks(office.store_of(tx, office.now), [lead])
    return "fired"


async def merge(office: Office, meeting: Meeting, lead: str) -> str:
    """Scoring finds that an older lead is the same person."""
    async with office.database.transaction() as tx:
        await meeting.begin(tx)
    await patiently(partial(office.receive, merged(lead, lead.replace("ld_", "ld_0"))))
    return "merged"


async def verdicts_of(office: Office) -> dict[str, tuple[str, ...]]:
    """Return what was told of each hand-off, in order: its breach, acceptance, correction, end."""
    kinds = {
        told.SLA_BREACHED: "breached",
        told.SLA_BREACH_CORRECTED: "breach_corrected",
        told.ACCEPTED: "accepted",
        told.CLOSED: "closed",
    }
    verdicts: dict[str, tuple[str, ...]] = defaultdict(tuple)
    for kind, event in await office.told():
        if kind in kinds:
            verdicts[event["handoff_id"]] += (kinds[kind],)
    return verdicts
