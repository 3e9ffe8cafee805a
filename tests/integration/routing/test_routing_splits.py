"""Unmerges that meet a lead in the middle of something: told in one batch, or after the new lead began."""

from tests.integration.routing.desk_support import Office, a_person, a_policy, a_snapshot, unmerged


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
