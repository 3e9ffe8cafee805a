"""Engaged leads that lack what routing needs: a visible queue, and a decision as soon as it is known."""

from services.routing.domain.policy import Condition, Queue, Rule, Target
from shared.contracts import handoffs as told
from tests.integration.routing.desk_support import Office, a_policy, a_snapshot

NEEDS_DATA = Condition(
    "all",
    children=(Condition("is", "needs_data", (True,)), Condition("is", "hand_raise", (False,))),
)


async def _publish(office: Office) -> None:
    policy = a_policy(version="p2")
    first = Rule("needs-data", NEEDS_DATA, (Target("queue", "needs-data"),), "We know too little")
    abroad = Rule("abroad", Condition("is", "traits.country", ("JP",)), (Target("queue", "waiting"),))
    queues = {**policy.queues, "needs-data": Queue("needs-data", "Needs data", "bob", "always")}
    await office.publish(a_policy(version="p2", rules=(first, abroad, *policy.rules), queues=queues))


async def _decision(office: Office, lead_id: str) -> dict[str, str]:
    async with office.database.connection() as connection:
        row = await connection.fetchrow(
            "SELECT queue, body ->> 'reason' AS reason, body #>> '{inputs,missing}' AS missing"
            " FROM routing.decision WHERE lead_id = $1 ORDER BY decision_id DESC LIMIT 1",
            lead_id,
        )
    assert row is not None
    return dict(row)


async def test_a_lead_that_lacks_data_waits_visibly_and_goes_on_with_the_snapshot_that_has_it(
    office: Office,
) -> None:
    await _publish(office)
    await office.receive(a_snapshot("ld_1", needs_data=True, missing=["company", "country"]))
    assert (await office.lead("ld_1")).record.queue == "needs-data"
    decision = await _decision(office, "ld_1")
    assert decision["missing"] == "company, country"
    assert decision["reason"] == "We know too little: it waits in Needs data for company, country"
    await office.pass_time(seconds=1)
    assert (await office.lead("ld_1")).record.queue == "needs-data", "a free rep does not make up for data"

    await office.receive(a_snapshot("ld_1", 2, traits={"company": "Acme"}))
    assert (await office.lead("ld_1")).record.state == "assigned"
    assert await office.problems() == []


async def test_a_hand_raise_never_waits_for_data(office: Office) -> None:
    await _publish(office)
    await office.receive(a_snapshot("ld_1", needs_data=True, missing=["company"], hand_raise=True))
    assert (await office.lead("ld_1")).record.state == "assigned"


async def test_new_traits_move_a_queued_lead_and_its_clock_to_the_queue_of_their_rule(office: Office) -> None:
    await _publish(office)
    await office.receive(a_snapshot("ld_1", needs_data=True, missing=["country"]))
    await office.receive(a_snapshot("ld_1", 2, traits={"country": "JP"}))
    lead = await office.lead("ld_1")
    assert lead.record.queue == "waiting"
    await office.pass_time(minutes=10)
    (breach,) = await office.told(told.SLA_BREACHED)
    assert breach[1]["queue"] == "waiting", "whoever owns the queue now is told"
    assert await office.problems() == []


async def test_a_snapshot_without_consequence_leaves_a_queued_lead_where_it_is(office: Office) -> None:
    await _publish(office)
    await office.receive(a_snapshot("ld_1", needs_data=True, missing=["country"]))
    before = len(await office.told())
    await office.receive(a_snapshot("ld_1", 2, needs_data=True, missing=["country"]))
    assert (await office.lead("ld_1")).record.queue == "needs-data"
    assert len(await office.told()) == before
