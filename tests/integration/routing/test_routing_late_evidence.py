"""What is told of a hand-off after the ladder took it away: recorded, corrected, and nothing is undone."""

from datetime import timedelta

import pytest

from services.routing.domain import lifecycle
from services.routing.domain.lifecycle import Accept, Actor, Command, Contact
from services.routing.usecases.act_on_handoff import Answer, act_on_handoff
from services.routing.usecases.take_feedback import Taken, take_feedback
from shared.contracts import handoffs as told
from tests.integration.routing.desk_support import T0, Office, a_snapshot

IN_TIME = T0 + timedelta(minutes=3)
TOO_LATE = T0 + timedelta(minutes=5, seconds=30)


async def _taken_away(office: Office) -> tuple[str, str, str]:
    """Let the accept clock run out; return (first rep, first hand-off, second hand-off)."""
    await office.receive(a_snapshot("ld_1"))
    first = await office.open_handoff("ld_1")
    rep = (await office.lead("ld_1")).holder or ""
    await office.pass_time(minutes=6)
    second = await office.open_handoff("ld_1")
    assert second != first
    return rep, first, second


async def _tell(office: Office, handoff_id: str, command: Accept | Contact, by: str) -> Answer:
    async with office.database.transaction() as tx:
        return await act_on_handoff(
            office.store_of(tx, office.now), handoff_id, command, Actor("person", by),
            type(command).__name__, evidence_at=command.at,
        )  # fmt: skip


async def _feed_back(office: Office, command: Accept | Contact, by: str | None = None) -> Taken:
    async with office.database.transaction() as tx:
        return await take_feedback(
            office.store_of(tx, office.now), "ld_1", "contact", command, Actor("crm", "crm", by), {},
            evidence_at=command.at,
        )  # fmt: skip


@pytest.mark.parametrize("command", [Contact("phone", IN_TIME), Accept(IN_TIME)])
async def test_evidence_of_before_the_breach_corrects_it_and_the_reassignment_stands(
    office: Office, command: Accept | Contact
) -> None:
    rep, first, second = await _taken_away(office)
    answer = await _tell(office, first, command, rep)

    assert answer.handoff is not None
    assert (answer.handoff.is_open, answer.handoff.successor_id) == (False, second)
    assert answer.handoff.accepted_at == IN_TIME
    assert answer.late is not None
    assert answer.late.corrected == ("accept",)
    (corrected,) = await office.told(told.SLA_BREACH_CORRECTED)
    assert (corrected[1]["handoff_id"], corrected[1]["met_at"]) == (first, "2026-03-02T10:03:00Z")
    assert len(await office.told(told.SLA_BREACHED)) == 1, "a breach is never deleted"
    assert await office.open_handoff("ld_1") == second
    assert (await office.lead("ld_1")).record.state == "assigned"
    assert await office.problems() == []

    again = await _tell(office, first, command, rep)
    assert not again.changed
    assert len(await office.told(told.SLA_BREACH_CORRECTED)) == 1


async def test_late_evidence_of_after_the_target_is_recorded_and_corrects_nothing(office: Office) -> None:
    rep, first, _ = await _taken_away(office)
    answer = await _tell(office, first, Contact("phone", TOO_LATE), rep)
    assert answer.late is not None
    assert answer.late.corrected == ()
    assert answer.handoff is not None
    assert answer.handoff.contacted_at == TOO_LATE
    assert await office.told(told.SLA_BREACH_CORRECTED) == []


@pytest.mark.parametrize("command", [Contact(), Contact(at=T0 + timedelta(minutes=6)), Accept()])
async def test_what_happened_after_the_end_is_refused_naming_the_successor(
    office: Office, command: Accept | Contact
) -> None:
    rep, first, second = await _taken_away(office)
    with pytest.raises(lifecycle.HandoffClosed) as closed:
        await _tell(office, first, command, rep)
    assert closed.value.successor_id == second


@pytest.mark.parametrize("command", [lifecycle.Reject("no_budget"), lifecycle.HandBack()])
async def test_acts_that_are_no_evidence_are_refused_whenever_they_happened(
    office: Office, command: Command
) -> None:
    rep, first, _ = await _taken_away(office)
    async with office.database.transaction() as tx:
        with pytest.raises(lifecycle.HandoffClosed):
            await act_on_handoff(
                office.store_of(tx, office.now), first, command, Actor("person", rep), "act",
                evidence_at=IN_TIME,
            )  # fmt: skip


async def test_a_crms_late_contact_goes_to_the_hand_off_of_its_instant_not_to_the_present_rep(
    office: Office,
) -> None:
    rep, first, second = await _taken_away(office)
    taken = await _feed_back(office, Contact("phone", IN_TIME), rep)
    assert (taken.handoff_id, taken.successor_id, taken.corrected) == (first, second, ("accept",))
    assert (taken.changed, taken.parked_id) == (True, None)
    assert (await office.lead("ld_1")).record.state == "assigned", "the second rep has not called yet"
    assert not (await _feed_back(office, Contact("phone", IN_TIME), rep)).changed
    assert await office.problems() == []


async def test_a_crms_late_contact_is_recorded_where_the_lead_waits_in_a_queue_by_now(office: Office) -> None:
    _, _, second = await _taken_away(office)
    rep = (await office.lead("ld_1")).holder or ""
    await office.act(second, lifecycle.HandBack(), by=rep)
    office.now += timedelta(minutes=1)
    assert (await office.lead("ld_1")).record.state == "qualified"
    none = await _feed_back(office, Contact("phone", office.now), rep)
    assert none.parked_id is not None, "nobody held it then"
    recorded = await _feed_back(office, Contact("phone", IN_TIME))
    assert (recorded.parked_id, recorded.corrected) == (None, ("accept",))


async def test_what_a_crm_says_of_the_present_rep_counts_for_the_present_hand_off(office: Office) -> None:
    _, _, second = await _taken_away(office)
    office.now += timedelta(minutes=1)
    holder = (await office.lead("ld_1")).holder
    taken = await _feed_back(office, Contact("phone", IN_TIME), holder)
    assert taken.handoff_id is None
    lead = await office.lead("ld_1")
    assert (lead.record.state, lead.handoff.id if lead.handoff else None) == ("working", second)
