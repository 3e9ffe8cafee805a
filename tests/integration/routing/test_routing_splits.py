"""Unmerges that meet a lead in the middle of something: told in one batch, or after the new lead began."""

import pytest

from services.routing.domain import lifecycle
from tests.integration.routing.desk_support import Office, a_person, a_policy, a_snapshot, merged, unmerged


async def test_a_decision_still_wanted_goes_with_the_state_to_the_new_lead(office: Office) -> None:
    await office.receive(a_snapshot("ld_a"), unmerged("ld_a", "ld_new", "ld_new"))

    assert (await office.lead("ld_new")).record.state == "assigned"
    assert (await office.lead("ld_a")).record.state == "nurturing"
    assert await office.problems() == []


async def test_what_the_new_lead_had_begun_by_itself_ends_with_its_own_state(office: Office) -> None:
    alone = {"ann": a_person("ann", open_cap=1), "boss": a_person("boss", teams=(), role="head")}
    await office.publish(a_policy("ann", version="p2", people=alone))
    await office.receive(a_snapshot("ld_a"))
    handoff = await office.open_handoff("ld_a")
    await office.receive(a_snapshot("ld_new"))
    assert (await office.lead("ld_new")).record.queue is not None

    await office.receive(unmerged("ld_a", "ld_new", "ld_new"))

    lead = await office.lead("ld_new")
    assert await office.open_handoff("ld_new") == handoff
    assert sorted(clock.kind for clock in lead.clocks.values() if clock.state == "running") == ["accept"]
    assert await office.problems() == []


@pytest.mark.parametrize("twice", [False, True])
async def test_what_the_new_lead_had_lived_through_by_itself_is_not_forgotten(
    office: Office, twice: bool
) -> None:
    await office.receive(a_snapshot("ld_new"))
    rejecter = (await office.lead("ld_new")).holder or ""
    await office.act(await office.open_handoff("ld_new"), lifecycle.Reject("no_budget"), by=rejecter)
    await office.receive(a_snapshot("ld_a"))
    handoff = await office.open_handoff("ld_a")

    message = unmerged("ld_a", "ld_new", "ld_new")
    for _ in range(1 + twice):
        await office.receive(message)

    lead = await office.lead("ld_new")
    assert await office.open_handoff("ld_new") == handoff
    assert (lead.record.state, lead.record.cycle) == ("assigned", 2), "a cycle never goes back"
    assert rejecter in lead.record.rejected_by
    assert (await office.lead("ld_a")).record.state == "nurturing"
    assert await office.problems() == []


async def test_a_new_lead_that_is_not_to_be_contacted_gets_no_hand_off_by_a_split(office: Office) -> None:
    await office.receive(a_snapshot("ld_new", do_not_contact=True), a_snapshot("ld_a"))
    handoff = await office.open_handoff("ld_a")

    await office.receive(unmerged("ld_a", "ld_new", "ld_new"))

    lead = await office.lead("ld_new")
    assert (lead.record.state, lead.handoff) == ("disqualified", None)
    with pytest.raises(lifecycle.HandoffClosed):
        await office.act(handoff, lifecycle.Accept())
    assert await office.problems() == []


@pytest.mark.parametrize("together", [True, False])
async def test_a_hand_off_follows_a_lead_that_was_merged_on_before_its_split_was_told(
    office: Office, together: bool
) -> None:
    await office.receive(a_snapshot("ld_a"))
    handoff = await office.open_handoff("ld_a")
    told = (merged("ld_new", "ld_b"), unmerged("ld_a", "ld_new", "ld_new"))
    if together:
        await office.receive(*told)
    else:
        for message in told:
            await office.receive(message)
    await office.receive(a_snapshot("ld_b"), a_snapshot("ld_a", 2, enters=False, holds=False))

    lead = await office.lead("ld_b")
    assert await office.open_handoff("ld_b") == handoff
    assert sorted(clock.kind for clock in lead.clocks.values() if clock.state == "running") == ["accept"]
    assert (await office.lead("ld_a")).record.state == "nurturing"
    await office.receive(*told)
    assert await office.open_handoff("ld_b") == handoff
    assert await office.problems() == []


async def test_a_lead_that_keeps_its_hand_off_is_not_touched_by_the_split_of_one_merged_on(
    office: Office,
) -> None:
    await office.receive(a_snapshot("ld_a"))
    handoff = await office.open_handoff("ld_a")
    await office.receive(merged("ld_new", "ld_b"))
    await office.receive(unmerged("ld_a", "ld_new", "ld_a"))

    assert await office.open_handoff("ld_a") == handoff
    assert await office.problems() == []
