"""Merging, unmerging and forbidding links by hand."""

from datetime import timedelta

import pytest
from msgspec import json

from services.scoring.domain.identity import Identity
from services.scoring.usecases.errors import NotMergeable, NotSplittable, UnknownLead
from services.scoring.usecases.merge_leads import merge_leads
from services.scoring.usecases.never_link import never_link
from services.scoring.usecases.unmerge_lead import Unmerged, unmerge_lead
from shared.contracts.leads import UNMERGED, LeadUnmerged
from tests.support.postgres import OpenService
from tests.support.scoring_world import World, activity

ADA, BOB = "ada@acme.example", "bob@acme.example"


async def merge(world: World, one: str, other: str) -> str:
    async with world.database.transaction() as tx:
        return await merge_leads(one, other, world.stores(tx), world.engine())


async def test_a_lead_whose_last_address_is_taken_out_is_told_once_and_enters_nothing(
    service_database: OpenService,
) -> None:
    """Else routing would go on with what was told before: the address of somebody who is another lead now."""
    world = World(await service_database("scoring"))
    await world.record(activity(1, 1, kind="form", name="demo", user_id="x", email=ADA))
    done = await unmerge(world, await world.lead_of("email", ADA), ADA)
    await world.record(activity(2, 2, kind="form", name="demo", user_id="x"))
    told = [s for s in await world.snapshots() if s.lead_id == done.lead_id]
    assert [(s.enters, s.holds, s.person.email) for s in told] == [(True, True, ADA), (False, False, None)]
    assert await world.problems() == []
    await world.record(activity(3, 3, user_id="x", email=BOB))
    (*_, latest) = [s for s in await world.snapshots() if s.lead_id == done.lead_id]
    assert (latest.enters, latest.person.email) == (True, BOB)


async def unmerge(world: World, lead_id: str, *emails: str) -> Unmerged:
    async with world.database.transaction() as tx:
        part = {Identity("email", email) for email in emails}
        return await unmerge_lead(lead_id, part, world.stores(tx), world.engine(), actor="test")


async def forbid(world: World, one: Identity, other: Identity) -> None:
    async with world.database.transaction() as tx:
        await never_link(one, other, world.stores(tx), world.engine(), actor="test")


async def test_after_an_unmerge_the_handoff_stays_with_who_qualified(service_database: OpenService) -> None:
    world = World(await service_database("scoring"))
    await world.record(activity(1, 1, email=ADA), activity(2, 2, user_id="x", email=ADA))
    await world.record(activity(3, 3, user_id="x", email=BOB))
    await world.record(activity(4, 4, kind="form", name="demo", email=BOB))
    lead_id = await world.lead_of("email", ADA)
    assert (await world.snapshots())[-1].enters
    done = await unmerge(world, lead_id, BOB)
    assert done.lead_id == lead_id
    (row,) = await world.fetch("SELECT payload FROM scoring.outbox WHERE type = $1", UNMERGED)
    told = json.decode(row["payload"], type=LeadUnmerged)
    assert (told.lead_id, told.new_lead_id, told.handoff_goes_to) == (
        lead_id, done.new_lead_id, done.new_lead_id,
    )  # fmt: skip
    assert {s.lead_id: s.enters for s in await world.snapshots()} == {lead_id: False, done.new_lead_id: True}


async def test_what_was_unmerged_is_not_joined_by_the_same_link_again(service_database: OpenService) -> None:
    world = World(await service_database("scoring"))
    await world.record(activity(1, 1, user_id="x", email=ADA), activity(2, 2, user_id="x", email=BOB))
    done = await unmerge(world, await world.lead_of("email", ADA), BOB)
    await world.record(activity(3, 3, user_id="x", email=BOB))
    assert await world.lead_of("email", BOB) == done.new_lead_id
    with pytest.raises(NotSplittable):
        await unmerge(world, done.new_lead_id, BOB)


async def test_a_merge_by_hand_lifts_what_an_unmerge_forbade(service_database: OpenService) -> None:
    world = World(await service_database("scoring"))
    await world.record(activity(1, 1, user_id="x", email=ADA), activity(2, 2, user_id="x", email=BOB))
    world.now += timedelta(minutes=1)
    done = await unmerge(world, await world.lead_of("email", ADA), BOB)
    assert await merge(world, done.lead_id, done.new_lead_id) == done.lead_id
    assert len(await world.leads()) == 1
    assert await world.fetch("SELECT 1 FROM scoring.never_link") == []


async def test_merges_that_nothing_can_tie_are_refused(service_database: OpenService) -> None:
    world = World(await service_database("scoring"))
    await world.record(
        activity(1, 1, email="info@acme.example"),
        activity(2, 2, email=ADA),
        activity(3, 3, anonymous_id="a1"),
        activity(4, 4, anonymous_id="a2"),
    )
    role, ada = await world.lead_of("email", "info@acme.example"), await world.lead_of("email", ADA)
    first, second = [await world.lead_of("anonymous", name) for name in ("a1", "a2")]
    for one, other in ((role, ada), (first, second), (ada, ada)):
        with pytest.raises(NotMergeable):
            await merge(world, one, other)
    with pytest.raises(UnknownLead):
        await merge(world, ada, "ld_nobody")
    assert await merge(world, first, ada) in (first, ada)
    assert await world.lead_of("email", ADA) in (first, ada)


async def test_a_link_forbidden_beforehand_never_joins_and_makes_no_lead(
    service_database: OpenService,
) -> None:
    world = World(await service_database("scoring"))
    await forbid(world, Identity("user", "x"), Identity("email", BOB))
    assert await world.leads() == {}
    await world.record(activity(1, 1, user_id="x", email=BOB))
    assert len(await world.leads()) == 2


async def test_forbidding_the_only_link_takes_a_lead_apart(service_database: OpenService) -> None:
    world = World(await service_database("scoring"))
    await world.record(
        activity(1, 1, user_id="x", email=BOB),
        activity(2, 2, anonymous_id="a", user_id="x"),
        activity(3, 3, anonymous_id="a"),
    )
    assert len(await world.leads()) == 1
    await forbid(world, Identity("user", "x"), Identity("email", BOB))
    assert len(await world.leads()) == 2
    await forbid(world, Identity("anonymous", "a"), Identity("user", "x"))
    assert len(await world.leads()) == 3
