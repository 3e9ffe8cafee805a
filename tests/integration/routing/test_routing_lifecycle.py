"""The table of DESIGN section 5, walked by snapshots, commands and clocks on real Postgres."""

import pytest

from services.routing.domain import lifecycle
from shared.contracts import handoffs as told
from tests.integration.routing.desk_support import Office, a_policy, a_snapshot


async def test_a_lead_over_the_threshold_is_handed_to_a_rep_at_once(office: Office) -> None:
    await office.receive(a_snapshot("ld_1"))

    lead = await office.lead("ld_1")
    assert lead.record.state == "assigned"
    assert lead.holder in ("ann", "bob")
    assert [clock.kind for clock in lead.clocks.values()] == ["accept"]
    assert [kind for kind, _ in await office.told()][-1] == told.ASSIGNED
    assert await office.problems() == []


async def test_a_lead_under_the_threshold_stays_with_marketing(office: Office) -> None:
    await office.receive(a_snapshot("ld_1", enters=False, holds=True))

    assert (await office.lead("ld_1")).record.state == "nurturing"
    assert await office.told() == []


async def test_a_lead_walks_from_acceptance_to_won_and_opens_its_next_cycle(office: Office) -> None:
    await office.receive(a_snapshot("ld_1"))
    handoff = await office.open_handoff("ld_1")
    rep = (await office.lead("ld_1")).holder or ""
    for command, state in (
        (lifecycle.Accept(), "accepted"),
        (lifecycle.Contact("phone"), "working"),
        (lifecycle.Qualify("unqualified"), "opportunity"),
        (lifecycle.Qualify("qualified", amount=500.0, currency="EUR"), "opportunity"),
        (lifecycle.Win(), "won"),
    ):
        await office.act(handoff, command, by=rep)
        assert (await office.lead("ld_1")).record.state == state
        assert await office.problems() == []

    lead = await office.lead("ld_1")
    assert lead.holder == rep
    assert lead.record.cycle == 2
    assert (await office.told(told.CYCLE_OPENED))[-1][1]["why"] == "won"

    await office.receive(a_snapshot("ld_1", 2, cycle=1))
    assert (await office.lead("ld_1")).record.state == "won", "a snapshot of the old cycle opens nothing"
    await office.receive(a_snapshot("ld_1", 3, cycle=2))
    assert (await office.lead("ld_1")).record.state == "assigned"
    assert await office.problems() == []


async def test_an_older_snapshot_never_replaces_a_newer_one(office: Office) -> None:
    await office.receive(a_snapshot("ld_1", 5, enters=False, holds=False))
    await office.receive(a_snapshot("ld_1", 4))

    lead = await office.lead("ld_1")
    assert (lead.record.state, lead.revision) == ("nurturing", 5)


async def test_nobody_free_puts_the_lead_into_the_visible_queue_under_a_clock(office: Office) -> None:
    await office.publish(a_policy("ann", version="p2", people={"boss": a_policy().people["boss"]}))
    await office.receive(a_snapshot("ld_1"))

    lead = await office.lead("ld_1")
    assert (lead.record.state, lead.record.queue) == ("qualified", "waiting")
    assert [clock.kind for clock in lead.clocks.values()] == ["assign"]
    assert await office.problems() == []

    await office.receive(a_snapshot("ld_1", 2, enters=False, holds=False))
    assert (await office.lead("ld_1")).record.state == "nurturing"
    assert await office.problems() == []


async def test_a_rejected_lead_cools_down_and_comes_back_to_another_rep(office: Office) -> None:
    await office.receive(a_snapshot("ld_1"))
    first = (await office.lead("ld_1")).holder or ""
    await office.act(await office.open_handoff("ld_1"), lifecycle.Reject("no_budget"), by=first)
    lead = await office.lead("ld_1")
    assert (lead.record.state, lead.record.cycle) == ("recycled", 2)
    assert (await office.told(told.CYCLE_OPENED))[-1][1]["cycle"] == 2
    assert await office.problems() == []

    await office.receive(a_snapshot("ld_1", 2, cycle=2))
    assert (await office.lead("ld_1")).record.state == "recycled", "new evidence waits for the cool-down"
    await office.pass_time(minutes=61)

    lead = await office.lead("ld_1")
    assert (lead.record.state, lead.record.cycle) == ("assigned", 2)
    assert lead.holder != first
    assert await office.problems() == []


async def test_a_rejection_for_junk_disqualifies_and_can_be_reopened_by_hand(office: Office) -> None:
    await office.receive(a_snapshot("ld_1"))
    rep = (await office.lead("ld_1")).holder or ""
    await office.act(await office.open_handoff("ld_1"), lifecycle.Reject("junk"), by=rep)
    assert (await office.lead("ld_1")).record.state == "disqualified"

    await office.act_on_lead("ld_1", lifecycle.Reopen())
    assert (await office.lead("ld_1")).record.state == "nurturing"
    assert await office.problems() == []


async def test_a_reason_that_is_not_configured_is_refused_and_changes_nothing(office: Office) -> None:
    await office.receive(a_snapshot("ld_1"))
    with pytest.raises(lifecycle.UnknownReason):
        await office.act(await office.open_handoff("ld_1"), lifecycle.Reject("nonsense"))
    assert (await office.lead("ld_1")).record.state == "assigned"


async def test_handing_back_offers_the_lead_to_another_and_names_the_successor(office: Office) -> None:
    await office.receive(a_snapshot("ld_1"))
    first = await office.open_handoff("ld_1")
    rep = (await office.lead("ld_1")).holder or ""
    answer = await office.act(first, lifecycle.HandBack(), by=rep)

    second = await office.open_handoff("ld_1")
    assert second != first
    assert (await office.lead("ld_1")).holder != rep
    assert answer.handoff is not None
    assert answer.handoff.successor_id == second
    assert (await office.told(told.CLOSED))[-1][1]["successor_id"] == second
    with pytest.raises(lifecycle.HandoffClosed) as closed:
        await office.act(first, lifecycle.Accept(), by="somebody")
    assert closed.value.successor_id == second
    assert await office.problems() == []


async def test_the_same_act_by_the_same_actor_again_changes_nothing(office: Office) -> None:
    await office.receive(a_snapshot("ld_1"))
    handoff = await office.open_handoff("ld_1")
    rep = (await office.lead("ld_1")).holder or ""
    await office.act(handoff, lifecycle.Accept(), by=rep)
    told_before = len(await office.told())
    again = await office.act(handoff, lifecycle.Accept(), by=rep)
    assert not again.changed
    assert len(await office.told()) == told_before


async def test_an_opportunity_lost_is_recycled_by_hand(office: Office) -> None:
    await office.receive(a_snapshot("ld_1"))
    handoff = await office.open_handoff("ld_1")
    for command in (lifecycle.Accept(), lifecycle.Contact(), lifecycle.Qualify(), lifecycle.Lose()):
        await office.act(handoff, command)
    assert (await office.lead("ld_1")).record.state == "lost"
    assert await office.problems() == []
    await office.act(handoff, lifecycle.Recycle("no_budget"))
    assert (await office.lead("ld_1")).record.state == "recycled"
    assert await office.problems() == []
