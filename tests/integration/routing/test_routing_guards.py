"""The single guards of routing: locks of leads, what is looked at again under them, the open hand-off."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import pytest

from services.routing.adapters.due_rows import DueRows
from services.routing.adapters.lead_files import lock, save
from services.routing.adapters.people import leave_out
from services.routing.adapters.policies import PolicyShelf
from services.routing.adapters.postgres_store import PostgresStore
from services.routing.domain import lifecycle
from services.routing.domain.policy import Condition, Rule, Target
from services.routing.entrypoints.timers import Timers
from services.routing.usecases.act_on_handoff import LeadsMoved, act_on_handoff
from services.routing.usecases.drain_queue import drain_page, rest_queue
from services.routing.usecases.receive_snapshots import receive_snapshots
from shared.contracts import handoffs as told
from shared.db.database import Transaction
from tests.integration.routing.desk_support import Office, a_person, a_policy, a_snapshot, merged
from tests.support.held_up import is_held_up

BY_HAND = "SELECT 1 FROM routing.lead WHERE lead_id = $1 FOR UPDATE"
PERSON_BY_HAND = "SELECT 1 FROM routing.person WHERE person_id = $1 FOR UPDATE"


async def test_an_act_waits_for_whoever_holds_the_lead_and_sees_what_they_did(office: Office) -> None:
    await office.receive(a_snapshot("ld_1"))
    handoff = await office.open_handoff("ld_1")
    async with office.database.transaction() as tx:
        await lock(tx.connection, ["ld_1"])
        act = asyncio.create_task(office.act(handoff, lifecycle.Accept(), by="bob"))
        held_up = await is_held_up(act, office.database.pool)
    await act
    assert held_up, "it read the lead while another transaction was at work on it"


async def test_an_act_that_is_undone_is_not_told(office: Office) -> None:
    await office.receive(a_snapshot("ld_1"))
    handoff = await office.open_handoff("ld_1")
    with suppress(ConnectionError):
        async with office.database.transaction() as tx:
            store, actor = office.store_of(tx, office.now), lifecycle.Actor("person", "ann")
            await act_on_handoff(store, handoff, lifecycle.Accept(), actor, "accept")
            raise ConnectionError("lost before the commit")
    assert (await office.lead("ld_1")).record.state == "assigned"
    assert await office.told(told.ACCEPTED) == [], "told though it never was"


async def test_leads_are_locked_in_the_order_of_their_ids(office: Office) -> None:
    """Who waits for a lead holds none that comes after it: so two batches cannot wait for each other."""
    await office.receive(a_snapshot("ld_z"))
    await office.receive(a_snapshot("ld_a"))

    async def lock_both() -> None:
        async with office.database.transaction() as tx:
            await lock(tx.connection, ["ld_z", "ld_a"])

    async with office.database.transaction() as tx:
        await tx.connection.execute(BY_HAND, "ld_a")
        both = asyncio.create_task(lock_both())
        assert await is_held_up(both, office.database.pool)
        (found,) = await asyncio.gather(
            tx.connection.execute(f"{BY_HAND} NOWAIT", "ld_z"), return_exceptions=True
        )
    await both
    assert found == "SELECT 1", "ld_z is held by one who waits for ld_a"


async def is_free(tx: Transaction, person_id: str) -> bool:
    """Tell whether nobody holds the person; the transaction is of no use afterwards where somebody does."""
    with suppress(asyncpg.LockNotAvailableError):
        return bool(await tx.connection.execute(f"{PERSON_BY_HAND} NOWAIT", person_id))
    return False


async def test_people_are_taken_out_of_rotation_in_the_order_of_their_ids(office: Office) -> None:
    until = {name: office.now + timedelta(days=1) for name in ("bob", "ann")}

    async def both_out() -> None:
        async with office.database.transaction() as tx:
            await leave_out(tx.connection, until, office.now)

    async with office.database.transaction() as tx:
        await tx.connection.execute(PERSON_BY_HAND, "ann")
        both = asyncio.create_task(both_out())
        assert await is_held_up(both, office.database.pool)
        found = await is_free(tx, "bob")
    await both
    assert found, "bob is held by one who waits for ann"


async def test_who_is_taken_out_of_rotation_is_locked_with_the_other_people(office: Office) -> None:
    """A ladder takes bob out and gives the lead to the team: bob is not locked after the team's people."""
    people = {name: a_person(name) for name in ("ann", "cem")} | {"boss": a_policy().people["boss"]}
    people["bob"] = a_person("bob", teams=("other",))
    teams = a_policy().teams | {"other": replace(a_policy().teams["team"], id="other")}
    to_bob = Rule("bob", Condition(), (Target("person", "bob"),))
    first = replace(a_policy(), people=people, teams=teams)
    await office.publish(replace(first, version="p2", rules=(to_bob, *first.rules)))
    await office.receive(a_snapshot("ld_1"))
    await office.publish(replace(first, version="p3"))
    office.now += timedelta(seconds=360)
    async with office.database.transaction() as tx:
        await tx.connection.execute(PERSON_BY_HAND, "bob")
        turn = asyncio.create_task(office.timers.turn(office.now))
        assert await is_held_up(turn, office.database.pool)
        found = await is_free(tx, "cem")
    await turn
    assert found, "cem is held by one who waits for bob"
    assert (await office.lead("ld_1")).holder in ("ann", "cem")


async def test_a_queue_goes_to_rest_without_waiting_for_teams_that_its_leads_do_not_ask_for(
    office: Office,
) -> None:
    """A drain that locked more teams after those of its leads, or after a queue, would lock out of order."""
    only_team = Rule("all", Condition(), (Target("team", "team"), Target("queue", "waiting")))
    policy = a_policy("ann", people={"ann": a_person("ann", open_cap=0), "boss": a_policy().people["boss"]})
    teams = policy.teams | {"other": replace(policy.teams["team"], id="other")}
    waiting = replace(policy.queues["waiting"], teams=("other", "team"))
    await office.publish(
        replace(policy, version="p2", teams=teams, queues={"waiting": waiting}, rules=(only_team,))
    )
    await office.receive(a_snapshot("ld_1"))
    async with office.database.transaction() as tx:
        await tx.connection.execute("SELECT 1 FROM routing.team WHERE team_id = 'other' FOR UPDATE")
        turn = asyncio.create_task(office.timers.turn(office.now))
        held_up = await is_held_up(turn, office.database.pool)
    await turn
    assert not held_up
    assert not await DueRows(office.database).queues(office.now), "the queue does not rest"


async def test_the_database_refuses_a_second_open_handoff_whoever_writes_it(office: Office) -> None:
    await office.receive(a_snapshot("ld_1"), a_snapshot("ld_2"))
    async with office.database.transaction() as tx:
        files = await lock(tx.connection, ["ld_1", "ld_2"])
        # As a merge would that forgot to close one of the two.
        moved = files["ld_2"].handoff
        assert moved is not None
        files["ld_2"].handoff = replace(moved, lead_id="ld_1", seq=2)
        with pytest.raises(asyncpg.UniqueViolationError, match="uq_handoff_open"):
            await save(tx.connection, [files["ld_2"]], [], ())


class _MergedMeanwhile(PostgresStore):
    """Between its look for redirects and its lock, another router merges the leads."""

    def __init__(self, tx: Transaction, office: Office) -> None:
        super().__init__(tx, PolicyShelf(), office.now)
        self._office = office

    async def lock(
        self, lead_ids: Sequence[str], *, create: bool = False, skip: bool = False
    ) -> dict[str, Any]:
        await self._office.receive(merged("ld_b", "ld_a"))
        return await super().lock(lead_ids, create=create, skip=skip)


async def test_a_merge_between_the_look_and_the_lock_is_noticed(office: Office) -> None:
    await office.receive(a_snapshot("ld_a"), a_snapshot("ld_b"))
    with pytest.raises(LeadsMoved):
        async with office.database.transaction() as tx:
            await receive_snapshots(_MergedMeanwhile(tx, office), [a_snapshot("ld_b", 2)])
    await office.receive(a_snapshot("ld_b", 2))
    async with office.database.connection() as connection:
        rows = await connection.fetch("SELECT lead_id FROM routing.lead")
    assert [row["lead_id"] for row in rows] == ["ld_a"], "a redirected id never acts again"


class _ActedMeanwhile(DueRows):
    """Between the timer's look and its lock, the rep accepts."""

    def __init__(self, office: Office, handoff_id: str) -> None:
        super().__init__(office.database)
        self._office = office
        self._handoff_id = handoff_id

    async def leads(self, now: datetime | None, limit: int) -> Sequence[str]:
        found = await super().leads(now, limit)
        assert found, "nothing was due"
        await self._office.act(self._handoff_id, lifecycle.Accept(), by="ann")
        return found


async def test_a_clock_that_an_act_stops_after_the_timers_look_does_not_fire(office: Office) -> None:
    await office.receive(a_snapshot("ld_1"))
    due = _ActedMeanwhile(office, await office.open_handoff("ld_1"))
    office.now += timedelta(seconds=240)
    fired = await Timers(office.database, due, office.store_of).turn(office.now)
    told_of = [kind for kind, _ in await office.told("leadline.sla.")]
    assert (fired, told_of) == (0, []), "the warning came after the accept"
    assert await office.problems() == []


async def test_a_lead_that_somebody_holds_does_not_keep_the_timer_from_the_others(office: Office) -> None:
    await office.receive(a_snapshot("ld_1"), a_snapshot("ld_2"))
    office.now += timedelta(seconds=240)
    async with office.database.transaction() as tx:
        await tx.connection.execute(BY_HAND, "ld_1")
        turn = asyncio.create_task(office.timers.turn(office.now))
        held_up = await is_held_up(turn, office.database.pool)
        warned = [event["lead_id"] for _, event in await office.told(told.SLA_WARNED)]
    await turn
    assert (held_up, warned) == (False, ["ld_2"])
    await office.timers.turn(office.now)
    assert len(await office.told(told.SLA_WARNED)) == 2


class _FreedMeanwhile(PostgresStore):
    """Before a drain that found nobody free can say when to look again, a rep becomes free."""

    def __init__(self, tx: Transaction, office: Office, handoff_id: str) -> None:
        super().__init__(tx, PolicyShelf(), office.now)
        self._office = office
        self._handoff_id = handoff_id

    async def settle_queue(self, queue: str, turn: int, wakes_at: datetime | None) -> bool:
        await self._office.act(self._handoff_id, lifecycle.Reject("no_budget"), by="ann")
        return await super().settle_queue(queue, turn, wakes_at)


async def test_a_wake_during_a_drain_is_not_lost(office: Office) -> None:
    people = {"ann": a_person("ann", open_cap=1), "boss": a_policy().people["boss"]}
    await office.publish(a_policy("ann", version="p2", people=people))
    await office.receive(a_snapshot("ld_1"))
    await office.receive(a_snapshot("ld_2"))
    handoff = await office.open_handoff("ld_1")
    turns: Mapping[str, int] = dict(await DueRows(office.database).queues(office.now))
    async with office.database.transaction() as tx:
        page = await drain_page(office.store_of(tx, office.now), "waiting", 0)
    async with office.database.transaction() as tx:
        store = _FreedMeanwhile(tx, office, handoff)
        assert await rest_queue(store, "waiting", turns["waiting"], page) is None
    assert (await office.lead("ld_2")).holder is None
    await office.timers.turn(office.now)
    assert (await office.lead("ld_2")).holder == "ann", "nobody looked at the queue again"
