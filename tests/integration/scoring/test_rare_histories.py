"""Histories that are rare and must not leave a lead, a count or an announcement behind."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from msgspec import json

from services.scoring.adapters.stores import postgres_stores
from services.scoring.domain.compile import compile_model
from services.scoring.domain.identity import Identity
from services.scoring.usecases.never_link import never_link
from services.scoring.usecases.ports import ConcurrentChange
from services.scoring.usecases.read_activity import UnusableActivity
from services.scoring.usecases.record_activity import record_activity
from services.scoring.usecases.unmerge_lead import unmerge_lead
from shared.contracts.handoffs import CycleOpened
from shared.contracts.leads import UNMERGED, LeadUnmerged
from tests.support.held_up import is_held_up
from tests.support.postgres import OpenService
from tests.support.scoring_world import MODEL, T0, World, activity

ADA, BOB, CYD = "ada@acme.example", "bob@acme.example", "cyd@acme.example"


async def test_the_cycle_of_a_visitor_known_by_phone_outlives_its_first_link(
    service_database: OpenService,
) -> None:
    world = World(await service_database("scoring"))
    await world.record(activity(1, 1, anonymous_id="a", phone="+49301234567", kind="form", name="demo"))
    lead_id = await world.lead_of("anonymous", "a")
    cut = T0 + timedelta(minutes=30)
    await world.open_cycle(CycleOpened(lead_id, 2, cut, cut, "recycled"))
    await world.record(activity(2, 40, anonymous_id="a", email=ADA))
    told = (await world.snapshots())[-1]
    assert (told.lead_id, told.cycle, told.cut, told.enters) == (lead_id, 2, cut, False)


async def test_each_part_of_a_lead_that_falls_into_three_is_announced(service_database: OpenService) -> None:
    world = World(await service_database("scoring"))
    await world.record(
        activity(1, 1, user_id="x", email=ADA),
        activity(2, 2, user_id="x", email=BOB),
        activity(3, 3, user_id="x", email=CYD),
    )
    lead_id = await world.lead_of("user", "x")
    async with world.database.transaction() as tx:
        part = {Identity("user", "x")}
        await unmerge_lead(lead_id, part, postgres_stores(tx), world.engine(), actor="test")
    rows = await world.fetch("SELECT payload FROM scoring.outbox WHERE type = $1 ORDER BY id", UNMERGED)
    told = [json.decode(row["payload"], type=LeadUnmerged) for row in rows]
    others = set((await world.leads()).values()) - {lead_id}
    assert len(others) == 3
    assert {message.new_lead_id for message in told} == others
    assert len({message.revision for message in told}) == len(told)


async def test_another_body_of_an_alias_gives_back_what_the_first_one_took(
    service_database: OpenService,
) -> None:
    world = World(await service_database("scoring"))
    await world.record(activity(1, 1, anonymous_id="old"), activity(2, 2, anonymous_id="new"))
    await world.record(activity(3, 9, kind="alias", user_id="ada", previous_id="old"))
    await world.record(activity(3, 8, kind="alias", user_id="ada", previous_id="new"))
    rows = await world.fetch("SELECT event_id, owner FROM scoring.timeline")
    assert {row["event_id"].int: row["owner"] for row in rows} == {1: "a:old", 2: "u:ada", 3: "u:ada"}


async def test_two_bodies_of_one_event_at_the_same_time_leave_no_stale_count(
    service_database: OpenService,
) -> None:
    world = World(await service_database("scoring"))
    higher = world.entries([activity(1, 5, email=ADA)])
    lower = world.entries([activity(1, 4, email=BOB)])
    async with world.database.transaction() as first:
        await record_activity(higher, postgres_stores(first), world.engine())
        second = asyncio.create_task(world.store(lower))
        held_up = await is_held_up(second, world.database.pool)
    with pytest.raises(ConcurrentChange):
        await second
    assert held_up, "it did not wait for the batch that stores the same event"
    await world.store(lower)
    counts = await world.fetch("SELECT owner, counted FROM scoring.signal_count")
    assert [(row["owner"], row["counted"]) for row in counts] == [(f"e:{BOB}", 1)]


async def test_a_batch_waits_for_whoever_is_at_work_on_one_of_its_identities(
    service_database: OpenService,
) -> None:
    world = World(await service_database("scoring"))
    await world.record(activity(1, 1, email=ADA))
    async with world.database.transaction() as first:
        await postgres_stores(first).identities.lock([Identity("email", ADA)], world.now)
        second = asyncio.create_task(world.record(activity(2, 2, email=ADA)))
        held_up = await is_held_up(second, world.database.pool)
    await second
    assert held_up, "it read what another batch was about to change"


async def test_ids_too_long_for_an_index_are_refused_as_such(service_database: OpenService) -> None:
    world = World(await service_database("scoring"))
    digits = [chr(0x4E00 + (n * 7919) % 20000) for n in range(500)]
    with pytest.raises(UnusableActivity):
        world.entries([activity(1, 1, anonymous_id="".join(digits), user_id="".join(reversed(digits)))])
    at_most = "".join(digits[:333])
    await world.record(activity(1, 1, anonymous_id=at_most, user_id=at_most[::-1]))
    assert len(await world.leads()) == 1


async def test_a_trait_with_a_name_too_long_for_an_index_is_left_out(service_database: OpenService) -> None:
    world = World(await service_database("scoring"))
    name = "".join(chr(0x4E00 + (n * 7919) % 20000) for n in range(3000))
    await world.record(activity(1, 1, email=ADA, traits={name: "x", "title": "CEO"}))
    assert [row["name"] for row in await world.fetch("SELECT name FROM scoring.trait")] == ["title"]


async def test_forbidding_a_link_locks_leads_in_the_one_order(service_database: OpenService) -> None:
    world = World(await service_database("scoring"))
    for number, user in enumerate("xy"):
        await world.record(activity(number, number, user_id=user))
    # The visitor's later activity goes back from `last` to `first`, whose lead comes first in the order.
    first, last = sorted("xy", key=(await _lead_of_user(world)).__getitem__)
    await world.record(
        activity(2, 2, anonymous_id="a", user_id=first),
        activity(3, 3, anonymous_id="a", user_id=last),
        activity(4, 4, anonymous_id="a"),
    )
    lead_of = await _lead_of_user(world)
    lock = "SELECT 1 FROM scoring.lead WHERE lead_id = $1 FOR UPDATE"
    async with world.database.transaction() as tx:
        await tx.connection.execute(lock, lead_of[first])
        forbidding = asyncio.create_task(_forbid(world, "a", last))
        assert await is_held_up(forbidding, world.database.pool)
        await tx.connection.execute(f"{lock} NOWAIT", lead_of[last])
    await forbidding


async def _lead_of_user(world: World) -> dict[str, str]:
    return {user: await world.lead_of("user", user) for user in "xy"}


async def _forbid(world: World, visitor: str, user: str) -> None:
    async with world.database.transaction() as tx:
        pair = Identity("anonymous", visitor), Identity("user", user)
        await never_link(*pair, postgres_stores(tx), world.engine(), actor="test")


async def test_a_lead_that_fades_for_years_is_looked_at_again(service_database: OpenService) -> None:
    slow = tuple(replace(signal, half_life_days=3650) for signal in MODEL.signals)
    world = World(await service_database("scoring"), compiled=compile_model(replace(MODEL, signals=slow)))
    await world.record(activity(1, 1, email=ADA, kind="identify"))
    await world.record(activity(2, 2, email=BOB, kind="page", path="/pricing"))
    timers = await world.fetch("SELECT due_at FROM scoring.decay_timer")
    assert len(timers) == 2
    assert all(timer["due_at"] is not None for timer in timers)


async def test_a_visitor_known_by_phone_alone_is_scored_without_counts_and_counted_once_named(
    service_database: OpenService,
) -> None:
    world = World(await service_database("scoring"))
    visits = [activity(number, number, anonymous_id="a-1", path="/pricing") for number in (1, 2)]
    await world.record(*visits, activity(3, 3, anonymous_id="a-1", phone="+4930123456"))
    assert await world.fetch("SELECT FROM scoring.signal_count") == []
    by_phone = (await world.snapshots())[-1]
    assert by_phone.engagement > 0
    await world.record(activity(4, 4, anonymous_id="a-1", email=ADA, kind="identify"))
    named = (await world.snapshots())[-1]
    assert named.lead_id == by_phone.lead_id
    assert named.engagement > by_phone.engagement
    counts = await world.fetch("SELECT owner, sum(counted) AS counted FROM scoring.signal_count GROUP BY 1")
    assert [(row["owner"], row["counted"]) for row in counts] == [(f"e:{ADA}", 6)]
