"""Leads that leave: disqualified by a command, from every state that allows it, and erased."""

import pytest

from services.routing.domain.lifecycle import (
    Accept,
    Command,
    Contact,
    Disqualify,
    Erase,
    IllegalMove,
    Qualify,
    Reject,
    Win,
)
from shared.contracts import handoffs as told
from tests.integration.routing.desk_support import Office, a_snapshot

PATHS: dict[str, tuple[Command, ...]] = {
    "assigned": (), "accepted": (Accept(),), "working": (Contact(),), "recycled": (Reject("no_budget"),),
}  # fmt: skip


async def _in_state(office: Office, commands: tuple[Command, ...]) -> str:
    await office.receive(a_snapshot("ld_1"))
    handoff = await office.open_handoff("ld_1")
    for command in commands:
        await office.act(handoff, command)
    return handoff


@pytest.mark.parametrize("state", PATHS)
async def test_a_command_disqualifies_a_lead_and_leaves_nothing_running(office: Office, state: str) -> None:
    await _in_state(office, PATHS[state])
    assert (await office.lead("ld_1")).record.state == state
    await office.act_on_lead("ld_1", Disqualify("junk"))

    lead = await office.lead("ld_1")
    assert (lead.record.state, lead.handoff, lead.running("accept")) == ("disqualified", None, None)
    change = (await office.told(told.LIFECYCLE_CHANGED))[-1][1]
    assert (change["from_state"], change["to_state"], change["reason"]) == (state, "disqualified", "junk")
    assert change["actor"]["id"] == "boss"
    if state != "recycled":
        assert (await office.told(told.CLOSED))[-1][1]["outcome"] == "disqualified"
    assert await office.pass_time(hours=48) == 0
    await office.receive(a_snapshot("ld_1", 2, cycle=lead.record.cycle))
    assert (await office.lead("ld_1")).record.state == "disqualified"
    assert await office.problems() == []


async def test_a_lead_that_nobody_holds_is_disqualified_directly(office: Office) -> None:
    await office.receive(a_snapshot("ld_1", enters=False, holds=False))
    await office.act_on_lead("ld_1", Disqualify("junk"))
    assert (await office.lead("ld_1")).record.state == "disqualified"
    assert await office.told(told.ASSIGNED) == []
    assert await office.problems() == []


async def test_a_won_lead_is_not_disqualified_by_a_command_but_its_do_not_contact_is_obeyed(
    office: Office,
) -> None:
    await _in_state(office, (Contact(), Qualify(), Win()))
    with pytest.raises(IllegalMove):
        await office.act_on_lead("ld_1", Disqualify("junk"))
    await office.act_on_lead("ld_1", Disqualify("junk", do_not_contact=True))
    lead = await office.lead("ld_1")
    assert (lead.record.state, lead.record.do_not_contact) == ("won", True)
    await office.receive(a_snapshot("ld_1", 2, cycle=lead.record.cycle))
    assert (await office.lead("ld_1")).record.state == "won"


@pytest.mark.parametrize("commands", [(), (Contact(), Qualify()), (Contact(), Qualify(), Win())])
async def test_an_erased_lead_is_a_tombstone_that_nothing_wakes(
    office: Office, commands: tuple[Command, ...]
) -> None:
    handoff = await _in_state(office, commands)
    await office.act_on_lead("ld_1", Erase())

    lead = await office.lead("ld_1")
    assert (lead.record.state, lead.handoff, lead.record.queue) == ("erased", None, None)
    assert (await office.told(told.LIFECYCLE_CHANGED))[-1][1]["to_state"] == "erased"
    if not commands or not isinstance(commands[-1], Win):
        assert (await office.told(told.CLOSED))[-1][1]["outcome"] == "erased"
    assert await office.pass_time(hours=48) == 0
    before = len(await office.told())
    await office.receive(a_snapshot("ld_1", 2, cycle=lead.record.cycle))
    await office.act_on_lead("ld_1", Erase())
    with pytest.raises(IllegalMove):
        await office.act_on_lead("ld_1", Disqualify("junk"))
    lead = await office.lead("ld_1")
    assert (lead.record.state, lead.revision) == ("erased", 1), "a snapshot that was under way is not kept"
    assert len(await office.told()) == before
    assert handoff
    assert await office.problems() == []
