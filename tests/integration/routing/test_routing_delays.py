"""System delay and human delay apart: in the event of an offer, and on the hand-off."""

from datetime import timedelta
from typing import Any

from services.routing.adapters.postgres_reads import PostgresReads
from services.routing.domain.lifecycle import Contact, HandBack
from services.routing.usecases.change_person import change_person
from shared.contracts import handoffs as told
from tests.integration.routing.desk_support import T0, Office, a_snapshot

TRIGGERED = a_snapshot("ld_1", trigger_received_at=T0 - timedelta(seconds=2))


async def _delays(office: Office) -> list[Any]:
    page = await PostgresReads(office.database, office.shelf).lead("ld_1")
    assert page is not None
    return [handoff["delay"] for handoff in page["handoffs"]]


async def _presence(office: Office, online: bool) -> None:
    for name in ("ann", "bob"):
        async with office.database.transaction() as tx:
            await change_person(office.store_of(tx, office.now), name, {"online": online})


async def test_waiting_in_a_queue_and_for_the_first_touch_is_peoples_delay(office: Office) -> None:
    await _presence(office, False)
    await office.receive(TRIGGERED)
    office.now += timedelta(seconds=60)
    await _presence(office, True)
    await office.pass_time(seconds=0)
    handoff = await office.open_handoff("ld_1")
    office.now += timedelta(seconds=30)
    await office.act(handoff, Contact())

    assert await _delays(office) == [{"system_seconds": 2.0, "human_seconds": 90.0}]
    (assigned,) = await office.told(told.ASSIGNED)
    assert assigned[1]["system_delay_seconds"] == 2.0
    shown = await PostgresReads(office.database, office.shelf).handoff(handoff)
    assert shown is not None
    assert shown["delay"] == {"system_seconds": 2.0, "human_seconds": 90.0}


async def test_a_lead_that_comes_back_does_not_count_the_first_reps_time_again(office: Office) -> None:
    await office.receive(TRIGGERED)
    rep = (await office.lead("ld_1")).holder or ""
    office.now += timedelta(seconds=45)
    await office.act(await office.open_handoff("ld_1"), HandBack(), by=rep)
    office.now += timedelta(seconds=5)
    await office.act(await office.open_handoff("ld_1"), Contact())
    assert await _delays(office) == [
        {"system_seconds": 2.0, "human_seconds": 45.0},
        {"system_seconds": 0.0, "human_seconds": 5.0},
    ]
