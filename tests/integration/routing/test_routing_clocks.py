"""Clocks, ladders, queues and outages, at chosen instants."""

import asyncio
from dataclasses import replace
from datetime import timedelta

from services.routing.adapters.due_rows import DueRows
from services.routing.adapters.reconcile import reconcile
from services.routing.adapters.timer_rows import DUE_CLOCKS
from services.routing.domain import lifecycle
from services.routing.entrypoints.timers import Timers
from services.routing.usecases.act_on_handoff import act_on_handoff
from services.routing.usecases.change_person import change_person
from shared.contracts import handoffs as told
from tests.integration.routing.desk_support import T0, Office, a_policy, a_snapshot


async def test_a_missed_accept_warns_breaches_and_goes_to_another_rep_once(office: Office) -> None:
    await office.receive(a_snapshot("ld_1"))
    first = (await office.lead("ld_1")).holder or ""

    await office.pass_time(seconds=239)
    assert await office.told(told.SLA_WARNED) == []
    await office.pass_time(seconds=1)
    assert len(await office.told(told.SLA_WARNED)) == 1
    await office.pass_time(seconds=60)
    (breach,) = await office.told(told.SLA_BREACHED)
    assert breach[1]["person_id"] == first
    assert (await office.lead("ld_1")).holder == first

    await office.pass_time(seconds=60)
    second = await office.lead("ld_1")
    assert second.holder not in (first, None)
    closed = (await office.told(told.CLOSED))[-1][1]
    assert closed["outcome"] == "timed_out"
    assert closed["successor_id"] == (second.handoff.id if second.handoff else None)
    assert await office.problems() == []


async def test_the_silent_rep_is_out_of_rotation_and_the_loop_guard_ends_the_chain(office: Office) -> None:
    await office.receive(a_snapshot("ld_1"))
    first = (await office.lead("ld_1")).holder or ""
    await office.pass_time(minutes=6)
    second = (await office.lead("ld_1")).holder
    await office.pass_time(minutes=6)

    lead = await office.lead("ld_1")
    assert lead.holder == second, "after one reassignment the ladder only tells"
    assert lead.record.state == "assigned"
    async with office.database.transaction() as tx:
        people = await office.store_of(tx, office.now).people([first], lock=False)
    assert people[first].out_of_rotation_until is not None
    escalated = [event.get("action", "notify") for _, event in await office.told(told.SLA_ESCALATED)]
    assert escalated.count("reassign") == 1
    assert await office.problems() == []


async def test_an_accepted_lead_is_not_breached(office: Office) -> None:
    await office.receive(a_snapshot("ld_1"))
    office.now += timedelta(seconds=299)
    rep = (await office.lead("ld_1")).holder or ""
    await office.act(await office.open_handoff("ld_1"), lifecycle.Accept(), by=rep)
    await office.pass_time(minutes=10)
    assert await office.told(told.SLA_BREACHED) == []
    assert await office.problems() == []


async def test_late_evidence_corrects_a_breach_and_never_deletes_it(office: Office) -> None:
    await office.receive(a_snapshot("ld_1"))
    handoff = await office.open_handoff("ld_1")
    await office.act(handoff, lifecycle.Accept())
    await office.pass_time(minutes=61)
    assert len(await office.told(told.SLA_BREACHED)) == 1

    async with office.database.transaction() as tx:
        await act_on_handoff(
            office.store_of(tx, office.now), handoff, lifecycle.Contact("phone"),
            lifecycle.Actor("crm", "crm"), "contact", evidence_at=T0 + timedelta(minutes=30),
        )  # fmt: skip
    (corrected,) = await office.told(told.SLA_BREACH_CORRECTED)
    assert corrected[1]["met_at"] == "2026-03-02T10:30:00Z"
    assert len(await office.told(told.SLA_BREACHED)) == 1
    assert await office.problems() == []


async def test_two_timers_fire_each_clock_once(office: Office) -> None:
    await office.receive(*(a_snapshot(f"ld_{n}") for n in range(20)))
    office.now += timedelta(minutes=5, seconds=1)
    await asyncio.gather(*(office.timers.turn(office.now) for _ in range(4)))
    await office.timers.turn(office.now)

    breached = [event["clock_id"] for _, event in await office.told(told.SLA_BREACHED)]
    assert len(breached) == len(set(breached)) == 20
    assert len(await office.told(told.SLA_WARNED)) == 20


async def test_accept_and_breach_at_the_same_instant_have_one_outcome(office: Office) -> None:
    await office.receive(a_snapshot("ld_1"))
    handoff = await office.open_handoff("ld_1")
    rep = (await office.lead("ld_1")).holder or ""
    office.now = T0 + timedelta(minutes=6)
    await asyncio.gather(
        office.act(handoff, lifecycle.Accept(), by=rep),
        office.timers.turn(office.now),
        return_exceptions=True,
    )
    await office.timers.turn(office.now)

    lead = await office.lead("ld_1")
    accepted = await office.told(told.ACCEPTED)
    timed_out = [event for _, event in await office.told(told.CLOSED) if event["outcome"] == "timed_out"]
    assert len(accepted) + len(timed_out) == 1
    assert lead.record.state == ("accepted" if accepted else "assigned")
    assert len(await office.told(told.SLA_BREACHED)) == 1, "either way it was late, and that is told once"
    assert await office.problems() == []


async def test_eight_accepts_at_once_have_one_winner(office: Office) -> None:
    await office.receive(a_snapshot("ld_1"))
    handoff = await office.open_handoff("ld_1")
    answers = await asyncio.gather(
        *(office.act(handoff, lifecycle.Accept(), by=f"rep{n}") for n in range(8)), return_exceptions=True
    )
    assert sum(not isinstance(answer, BaseException) for answer in answers) == 1
    assert all(
        isinstance(answer, lifecycle.IllegalMove) for answer in answers if isinstance(answer, BaseException)
    )
    assert len(await office.told(told.ACCEPTED)) == 1


async def test_a_queue_is_drained_in_order_when_somebody_comes_back(office: Office) -> None:
    for name in ("ann", "bob"):
        await _change(office, name, online=False)
    await office.receive(
        a_snapshot("ld_low", fit=10_000), a_snapshot("ld_high", fit=90_000), a_snapshot("ld_mid", fit=50_000)
    )
    await office.pass_time(seconds=1)
    assert (await office.lead("ld_high")).record.queue == "waiting"
    assert await office.problems() == []

    await _change(office, "ann", online=True)
    await office.pass_time(seconds=1)
    assigned = [event["lead_id"] for _, event in await office.told(told.ASSIGNED)]
    assert assigned == ["ld_high", "ld_mid", "ld_low"]
    assert await office.problems() == []


async def test_a_closed_handoff_wakes_the_queue_for_the_next_lead(office: Office) -> None:
    policy = a_policy(version="p2")
    people = {**policy.people}
    for name in ("ann", "bob"):
        people[name] = replace(people[name], open_cap=1)
    await office.publish(a_policy(version="p2", people=people))
    await office.receive(*(a_snapshot(f"ld_{n}", fit=90_000 - n) for n in range(3)))
    await office.pass_time(seconds=1)
    assert (await office.lead("ld_2")).record.queue == "waiting"

    holder = (await office.lead("ld_0")).holder or ""
    await office.act(await office.open_handoff("ld_0"), lifecycle.Reject("no_budget"), by=holder)
    await office.pass_time(seconds=1)
    assert (await office.lead("ld_2")).holder == holder
    assert await office.problems() == []


async def test_a_heartbeat_gap_is_an_outage_and_the_rep_is_not_punished_for_it(office: Office) -> None:
    await office.timers.beat(office.now)
    await office.receive(a_snapshot("ld_1"))
    first = (await office.lead("ld_1")).holder
    office.now += timedelta(minutes=10)
    await office.timers.beat(office.now)
    await office.timers.turn(office.now)

    (breach,) = await office.told(told.SLA_BREACHED)
    assert breach[1].get("during_outage") is True, "an outage of ours counts against the rep"
    assert (await office.lead("ld_1")).holder == first, "the acting rung waits for the lost time"
    assert await office.timers.turn(office.now) == 0
    async with office.database.connection() as connection:
        assert await connection.fetchval("SELECT min(wakes_at) FROM routing.clock") > office.now
    await office.keep_running(minutes=6)
    assert (await office.lead("ld_1")).holder != first


async def test_who_comes_before_the_first_heartbeat_after_an_outage_knows_of_it_too(office: Office) -> None:
    await office.timers.beat(office.now)
    await office.receive(a_snapshot("ld_1"), a_snapshot("ld_2"))
    held = {lead_id: (await office.lead(lead_id)).handoff for lead_id in ("ld_1", "ld_2")}
    office.now += timedelta(minutes=10)
    assert held["ld_1"] is not None
    await office.act(held["ld_1"].id, lifecycle.Accept(), by=held["ld_1"].person_id)
    # A timer that was frozen between its heartbeat and its look.
    await office.timers.turn(office.now)

    breaches = await office.told(told.SLA_BREACHED)
    assert [breach["during_outage"] for _, breach in breaches] == [True, True]
    assert (await office.lead("ld_2")).handoff == held["ld_2"], "the acting rung waits for the lost time"
    await office.keep_running(seconds=1)
    await office.keep_running(minutes=4, seconds=58)
    assert (await office.lead("ld_2")).handoff == held["ld_2"], "and for all of it, once it is known"
    await office.keep_running(seconds=2)
    assert (await office.lead("ld_2")).handoff != held["ld_2"]


async def test_a_short_gap_of_the_heartbeat_is_no_outage(office: Office) -> None:
    await office.timers.beat(office.now)
    office.now += timedelta(seconds=60)
    async with office.database.transaction() as tx:
        assert (await office.store_of(tx, office.now).terms()).outages == []
    office.now += timedelta(seconds=1)
    async with office.database.transaction() as tx:
        assert (await office.store_of(tx, office.now).terms()).outages == [(T0, office.now)]


async def test_a_lead_that_cannot_be_fired_stops_no_other(office: Office) -> None:
    await office.receive(a_snapshot("ld_1"), a_snapshot("ld_2"))
    async with office.database.transaction() as tx:
        await tx.connection.execute(
            "UPDATE routing.clock SET body = body - 'terms' WHERE lead_id = 'ld_1' AND state = 'running'"
        )
    await office.pass_time(minutes=5)

    assert [event["lead_id"] for _, event in await office.told(told.SLA_BREACHED)] == ["ld_2"]
    await office.pass_time(minutes=5)
    findings = await reconcile(office.database)
    unfired = next(finding for finding in findings if finding.check == "no clock is left unfired")
    assert len(unfired.problems) >= 1


async def test_due_clocks_are_found_by_index(office: Office) -> None:
    async with office.database.transaction() as tx:
        await tx.connection.execute(
            """
            INSERT INTO routing.clock
                (clock_id, lead_id, kind, cycle, state, started_at, due_at, wakes_at, body)
            SELECT 'ck_' || n, 'ld_' || n, 'accept', 1, 'running', now(), now() + interval '1 day',
                   now() + n * interval '1 second', '{}' FROM generate_series(1, 20000) AS n
            """
        )
    async with office.database.connection() as connection:
        await connection.execute("SET plan_cache_mode = force_generic_plan")
        await connection.execute(f"PREPARE due AS {DUE_CLOCKS}")
        plan = await connection.fetch("EXPLAIN EXECUTE due (NULL, 200)")
    text = "\n".join(row[0] for row in plan)
    assert "Index Cond" in text
    assert "statement_timestamp()" in text


async def _change(office: Office, person_id: str, **changes: object) -> None:
    async with office.database.transaction() as tx:
        await change_person(office.store_of(tx, office.now), person_id, dict(changes))


async def test_a_rep_taken_out_of_rotation_gets_no_lead_decided_in_the_same_transaction(
    office: Office,
) -> None:
    await _change(office, "bob", online=False)
    await office.receive(a_snapshot("ld_1"))
    assert (await office.lead("ld_1")).holder == "ann"
    await office.receive(a_snapshot("ld_2"))
    assert (await office.lead("ld_2")).holder == "ann"
    await _change(office, "ann", online=False)
    await _change(office, "bob", online=True)
    # Bob holds one whose ladder will be due together with a cool-down's end.
    await office.receive(a_snapshot("ld_3"))
    assert (await office.lead("ld_3")).holder == "bob"
    await _change(office, "ann", online=True)
    await office.pass_time(minutes=6)

    async with office.database.transaction() as tx:
        people = await office.store_of(tx, office.now).people(["ann", "bob"], lock=False)
    assert all(person.out_of_rotation_until is not None for person in people.values())
    assert await office.problems() == []
    for lead_id in ("ld_1", "ld_2", "ld_3"):
        lead = await office.lead(lead_id)
        assert (lead.record.state, lead.record.queue) == ("qualified", "waiting"), "nobody was left to ask"


async def test_a_lead_that_failed_for_a_fault_of_ours_fires_once_the_cause_is_mended(office: Office) -> None:
    seconds = [0.0]
    timers = Timers(office.database, DueRows(office.database), office.store_of, clock=lambda: seconds[0])
    await office.receive(a_snapshot("ld_1"), a_snapshot("ld_2"))
    async with office.database.transaction() as tx:
        kept = await tx.connection.fetch("SELECT clock_id, body::text AS body FROM routing.clock")
        await tx.connection.execute(
            """UPDATE routing.clock SET body = '{"broken": true}' WHERE lead_id = 'ld_1'"""
        )

    office.now += timedelta(minutes=5)
    looked_at = []
    for _ in range(4):
        await timers.turn(office.now)
        looked_at.append(len(await office.told(told.SLA_BREACHED)))
        seconds[0] += 0.5
    assert looked_at == [1, 1, 1, 1], "the other lead is not held up"

    async with office.database.transaction() as tx:
        await tx.connection.executemany(
            "UPDATE routing.clock SET body = $2::text::jsonb WHERE clock_id = $1",
            [(row["clock_id"], row["body"]) for row in kept],
        )
    await timers.turn(office.now)
    assert len(await office.told(told.SLA_BREACHED)) == 1, "it was tried at 0 s and at 1 s: next at 3 s"
    seconds[0] = 3.0
    await timers.turn(office.now)
    assert len(await office.told(told.SLA_BREACHED)) == 2
    assert await office.problems() == []
