"""Routers, reps, timers and merges on the same leads at once: refusals at most, and nothing left in limbo."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable
from datetime import timedelta

import pytest

from services.routing.domain import lifecycle
from services.routing.domain.lifecycle import Actor
from services.routing.usecases.act_on_handoff import LeadsMoved, NotFound, act_on_handoff
from services.routing.usecases.receive_snapshots import receive_snapshots
from services.routing.usecases.take_feedback import Taken, take_feedback
from shared.contracts import handoffs as told
from tests.integration.routing.desk_support import T0, Office, a_policy, a_snapshot, merged
from tests.support.eventually import eventually

LEADS = [f"ld_{number:02}" for number in range(12)]
REFUSED = (lifecycle.IllegalMove, lifecycle.HandoffClosed, LeadsMoved, NotFound)
ACTS = (
    lifecycle.Accept(), lifecycle.Contact(), lifecycle.Qualify(), lifecycle.Win(), lifecycle.Lose(),
    lifecycle.Reject("no_budget"), lifecycle.Recycle("no_budget"), lifecycle.HandBack(), lifecycle.Reassign(),
)  # fmt: skip


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_everything_at_once_leaves_every_lead_in_one_state_with_its_clock(
    office: Office, seed: int
) -> None:
    await office.publish(a_policy("ann", "bob", "cid", "dee", version="p2"))
    rng = random.Random(seed)
    revisions: Counter[str] = Counter()

    async def scoring() -> None:
        for _ in range(30):
            batch = []
            async with office.database.connection() as connection:
                known = await connection.fetch("SELECT lead_id, cycle FROM routing.lead")
            cycles = {row["lead_id"]: row["cycle"] for row in known}
            for lead_id in rng.sample(LEADS, 4):
                revisions[lead_id] += 1
                level = rng.random() < 0.8
                batch.append(
                    a_snapshot(
                        lead_id, revisions[lead_id], cycle=cycles.get(lead_id, 1), enters=level, holds=level
                    )
                )
            await _unless_refused(office.receive(*batch))

    async def merging() -> None:
        await asyncio.sleep(0.1)
        for loser, survivor in (
            ("ld_11", "ld_00"),
            ("ld_00", "ld_05"),
            ("ld_07", "ld_03"),
            ("ld_09", "ld_05"),
        ):
            await asyncio.sleep(0.1)
            await _unless_refused(office.receive(merged(loser, survivor)))

    async def sales() -> None:
        for _ in range(120):
            async with office.database.connection() as connection:
                ids = await connection.fetch(
                    "SELECT handoff_id FROM routing.handoff WHERE closed_at IS NULL OR random() < 0.05"
                )
            if ids:
                chosen = rng.choice(ids)["handoff_id"]
                await _unless_refused(office.act(chosen, rng.choice(ACTS), by=rng.choice(("ann", "bob"))))
            await asyncio.sleep(0)

    async def time() -> None:
        for step in range(40):
            office.now = T0 + timedelta(minutes=step * 4)
            await office.timers.turn(office.now)

    await asyncio.gather(scoring(), scoring(), merging(), sales(), sales(), time(), time())

    assert await office.problems() == []
    opened = Counter(event["handoff_id"] for _, event in await office.told(told.ASSIGNED))
    assert set(opened.values()) <= {1}, "no hand-off is told twice"
    async with office.database.connection() as connection:
        assert not await connection.fetch(
            "SELECT lead_id FROM routing.handoff WHERE closed_at IS NULL GROUP BY lead_id HAVING count(*) > 1"
        )


async def test_what_waits_for_a_lead_happens_after_what_it_waited_for(office: Office) -> None:
    await office.receive(a_snapshot("ld_1"), a_snapshot("ld_2"))

    async def merge() -> None:
        async with office.database.transaction() as tx:
            await receive_snapshots(office.store_of(tx, None), [merged("ld_2", "ld_1")])

    async with office.database.transaction() as tx:
        store = office.store_of(tx, None)
        (held,) = (await store.lock(["ld_1"])).values()
        merging = asyncio.create_task(merge())
        await eventually(lambda: _waits_for_a_lock(office))
        assert held.handoff is not None
        await act_on_handoff(store, held.handoff.id, lifecycle.Accept(), Actor("person", "ann"), "accept")
    await merging

    async with office.database.connection() as connection:
        rows = await connection.fetch("SELECT type, time FROM routing.outbox WHERE key = 'ld_1' ORDER BY id")
    assert rows[-1]["type"] != told.ACCEPTED, "the merge is told as well"
    assert [row["time"] for row in rows] == sorted(row["time"] for row in rows)


async def test_feedback_that_waits_for_a_lead_while_it_is_merged_goes_to_the_survivor(office: Office) -> None:
    await office.receive(a_snapshot("ld_1"), a_snapshot("ld_2"))

    async def feedback() -> Taken:
        async with office.database.transaction() as tx:
            store = office.store_of(tx, office.now)
            return await take_feedback(store, "ld_2", "win", lifecycle.Win(), Actor("crm", "key"), {})

    async with office.database.transaction() as tx:
        await receive_snapshots(office.store_of(tx, office.now), [merged("ld_2", "ld_1")])
        telling = asyncio.create_task(feedback())
        await eventually(lambda: _waits_for_a_lock(office))
    with pytest.raises(LeadsMoved):
        await telling
    assert (await feedback()).lead_id == "ld_1"


async def _waits_for_a_lock(office: Office) -> bool:
    async with office.database.connection() as connection:
        return bool(await connection.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"))


async def _unless_refused(work: Awaitable[object]) -> None:
    try:
        await work
    except REFUSED:
        return
