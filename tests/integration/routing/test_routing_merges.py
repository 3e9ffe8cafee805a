"""Merges and unmerges in every order of arrival: one lead, one hand-off, one state at the end."""

import asyncio
from collections.abc import Sequence
from itertools import permutations

import pytest

from services.routing.domain import lifecycle
from services.routing.usecases.receive_snapshots import Message
from shared.contracts import handoffs as told
from shared.contracts import leads
from tests.integration.routing.desk_support import Office, a_snapshot, merged, unmerged

SURVIVOR = a_snapshot("ld_a", 2, merged_ids=["ld_b"])
ORDERS: Sequence[tuple[Message, ...]] = list(
    permutations([a_snapshot("ld_a"), a_snapshot("ld_b"), merged("ld_b", "ld_a"), SURVIVOR])
)


@pytest.mark.parametrize("order", ORDERS, ids=range(len(ORDERS)))
async def test_every_order_of_snapshots_and_merge_ends_with_one_assigned_lead(
    office: Office, order: Sequence[Message]
) -> None:
    for message in order:
        await office.receive(message)
        assert await office.problems() == []

    lead = await office.lead("ld_a")
    assert lead.record.state == "assigned"
    await _is_redirected(office, "ld_b", "ld_a")


async def test_a_batch_with_everything_at_once_ends_the_same(office: Office) -> None:
    await office.receive(a_snapshot("ld_b"), a_snapshot("ld_a"), merged("ld_b", "ld_a"), SURVIVOR)

    assert (await office.lead("ld_a")).record.state == "assigned"
    assert await office.problems() == []
    assert len(await office.told(told.ASSIGNED)) == 1


async def test_a_merge_of_leads_nobody_knows_leaves_no_lead_behind(office: Office) -> None:
    await office.receive(merged("ld_b", "ld_a"))
    async with office.database.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM routing.lead") == 0
    await office.receive(a_snapshot("ld_b"))
    async with office.database.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM routing.lead") == 0, (
            "a redirected id never acts"
        )


async def test_the_assigned_side_keeps_its_handoff_under_the_survivor(office: Office) -> None:
    await office.receive(a_snapshot("ld_b"), a_snapshot("ld_a", enters=False, holds=False))
    handoff = await office.open_handoff("ld_b")
    await office.receive(merged("ld_b", "ld_a"))

    assert await office.open_handoff("ld_a") == handoff
    assert await office.problems() == []
    rep = (await office.lead("ld_a")).holder or ""
    await office.act(handoff, lifecycle.Accept(), by=rep)
    assert (await office.lead("ld_a")).record.state == "accepted"
    assert await office.problems() == []
    assert [fact["lead_id"] for _, fact in await office.told(leads.MERGED)] == ["ld_b"]


async def test_of_two_assigned_sides_the_further_one_stays_and_the_other_is_superseded(
    office: Office,
) -> None:
    await office.receive(a_snapshot("ld_a"), a_snapshot("ld_b"))
    kept, dropped = await office.open_handoff("ld_b"), await office.open_handoff("ld_a")
    await office.act(kept, lifecycle.Accept(), by="ann")
    await office.receive(merged("ld_b", "ld_a"))

    assert await office.open_handoff("ld_a") == kept
    assert (await office.lead("ld_a")).record.state == "accepted"
    with pytest.raises(lifecycle.HandoffClosed) as closed:
        await office.act(dropped, lifecycle.Accept(), by="bob")
    assert (closed.value.handoff.outcome, closed.value.successor_id) == ("superseded", kept)
    assert await office.problems() == []


async def test_an_act_done_before_the_merge_that_took_the_handoff_is_refused_naming_what_follows(
    office: Office,
) -> None:
    await office.receive(a_snapshot("ld_a"), a_snapshot("ld_b"))
    kept, dropped = await office.open_handoff("ld_b"), await office.open_handoff("ld_a")
    await office.act(dropped, lifecycle.Accept(), by="ann")
    await office.act(kept, lifecycle.Contact(), by="bob")
    await office.receive(merged("ld_b", "ld_a"))

    with pytest.raises(lifecycle.HandoffClosed) as closed:
        await office.act(dropped, lifecycle.Accept(), by="ann")
    assert (closed.value.handoff.outcome, closed.value.successor_id) == ("superseded", kept)


async def test_a_recycled_side_yields_to_the_assigned_one_and_its_rejection_is_remembered(
    office: Office,
) -> None:
    await office.receive(a_snapshot("ld_b"))
    rejecter = (await office.lead("ld_b")).holder or ""
    await office.act(await office.open_handoff("ld_b"), lifecycle.Reject("no_budget"), by=rejecter)
    await office.receive(a_snapshot("ld_a"))
    await office.receive(merged("ld_b", "ld_a"))

    lead = await office.lead("ld_a")
    assert lead.record.state == "assigned"
    assert lead.record.cycle == 2
    assert rejecter in lead.record.rejected_by
    assert await office.problems() == []


async def test_a_won_side_stays_won_when_the_other_holds_nothing(office: Office) -> None:
    await office.receive(a_snapshot("ld_b"))
    rep = (await office.lead("ld_b")).holder or ""
    handoff = await office.open_handoff("ld_b")
    for command in (lifecycle.Accept(), lifecycle.Contact(), lifecycle.Qualify(), lifecycle.Win()):
        await office.act(handoff, command, by=rep)
    await office.receive(a_snapshot("ld_a", enters=False, holds=False), merged("ld_b", "ld_a"))

    lead = await office.lead("ld_a")
    assert (lead.record.state, lead.record.cycle, lead.holder) == ("won", 2, rep)
    assert await office.problems() == []


async def test_a_won_side_opens_a_new_cycle_when_the_other_is_with_a_rep(office: Office) -> None:
    await office.receive(a_snapshot("ld_b"))
    handoff = await office.open_handoff("ld_b")
    for command in (lifecycle.Accept(), lifecycle.Contact(), lifecycle.Qualify(), lifecycle.Win()):
        await office.act(handoff, command)
    await office.receive(a_snapshot("ld_a"))
    await office.receive(merged("ld_b", "ld_a"))

    lead = await office.lead("ld_a")
    assert (lead.record.state, lead.record.cycle) == ("assigned", 2)
    assert (await office.told(told.CYCLE_OPENED))[-1][1]["why"] == "merged"
    assert await office.problems() == []


async def test_an_unmerge_gives_the_handoff_to_the_lead_that_qualified_and_is_done_once(
    office: Office,
) -> None:
    await office.receive(a_snapshot("ld_a"))
    handoff = await office.open_handoff("ld_a")
    message = unmerged("ld_a", "ld_new", "ld_new")
    await office.receive(message)
    await office.receive(message)

    assert await office.open_handoff("ld_new") == handoff
    assert (await office.lead("ld_a")).record.state == "nurturing"
    assert await office.problems() == []


async def test_chains_of_merges_end_at_the_last_survivor(office: Office) -> None:
    await office.receive(a_snapshot("ld_c"))
    handoff = await office.open_handoff("ld_c")
    await office.receive(merged("ld_b", "ld_a"))
    await office.receive(merged("ld_c", "ld_b"))

    assert await office.open_handoff("ld_a") == handoff
    assert await office.problems() == []


async def test_two_routers_on_the_same_leads_hand_each_over_once(office: Office) -> None:
    batch = [a_snapshot(f"ld_{n}") for n in range(10)]
    await asyncio.gather(*(office.receive(*batch) for _ in range(4)))

    assigned = [event["lead_id"] for _, event in await office.told(told.ASSIGNED)]
    assert sorted(assigned) == sorted(f"ld_{n}" for n in range(10))
    assert await office.problems() == []


async def _is_redirected(office: Office, loser: str, survivor: str) -> None:
    async with office.database.connection() as connection:
        assert (
            await connection.fetchval("SELECT survivor_id FROM routing.redirect WHERE lead_id = $1", loser)
            == survivor
        )
        assert await connection.fetchval("SELECT count(*) FROM routing.lead WHERE lead_id = $1", loser) == 0
