"""What a new policy does to leads, clocks and queues that are there; closers; account owners."""

from dataclasses import replace

import pytest

from services.routing.domain import lifecycle
from services.routing.domain.policy import Account, Condition, Rule, Target, Team
from services.routing.usecases.change_person import StillHolds
from shared.contracts import handoffs as told
from tests.integration.routing.desk_support import Office, a_person, a_policy, a_snapshot


async def test_clocks_that_run_keep_the_terms_they_started_under(office: Office) -> None:
    await office.receive(a_snapshot("ld_1"))
    policy = a_policy(version="p2")
    clocks = {**policy.sla[0].clocks}
    clocks["accept"] = replace(clocks["accept"], target_seconds=10, warnings=(5,))
    await office.publish(replace(policy, sla=(replace(policy.sla[0], clocks=clocks),)))

    await office.pass_time(seconds=20)
    assert await office.told(told.SLA_BREACHED) == []
    await office.receive(a_snapshot("ld_2"))
    await office.pass_time(seconds=10)
    assert [event["lead_id"] for _, event in await office.told(told.SLA_BREACHED)] == ["ld_2"]


async def test_a_policy_that_drops_a_holder_is_refused_and_names_the_handoffs(office: Office) -> None:
    await office.receive(a_snapshot("ld_1"))
    holder = (await office.lead("ld_1")).holder or ""
    policy = a_policy(version="p2")
    people = {key: person for key, person in policy.people.items() if key != holder}
    with pytest.raises(StillHolds) as refused:
        await office.publish(replace(policy, people=people))
    assert refused.value.held == {holder: [await office.open_handoff("ld_1")]}


async def test_leads_of_a_dropped_queue_move_on(office: Office) -> None:
    policy = a_policy()
    nobody = {"boss": policy.people["boss"]}
    await office.publish(replace(policy, version="p2", people=nobody))
    await office.receive(a_snapshot("ld_1"))
    renamed = {"other": replace(policy.queues["waiting"], id="other")}
    rules = (Rule("all", Condition(), (Target("team", "team"), Target("queue", "other"))),)
    await office.publish(
        replace(policy, version="p3", people=nobody, queues=renamed, last_queue="other", rules=rules)
    )
    await office.pass_time(seconds=1)

    assert (await office.lead("ld_1")).record.queue == "other"
    assert await office.problems() == []


async def test_an_opportunity_passes_to_the_closer_team_within_its_cycle(office: Office) -> None:
    policy = a_policy(version="p2")
    closer = a_person("cleo", teams=("closers",))
    await office.publish(
        replace(
            policy,
            people={**policy.people, "cleo": closer},
            teams={**policy.teams, "closers": Team("closers", "Closers", "boss", "always")},
            recycle=replace(policy.recycle, closer_team="closers"),
        )
    )
    await office.receive(a_snapshot("ld_1"))
    first = await office.open_handoff("ld_1")
    for command in (lifecycle.Accept(), lifecycle.Contact(), lifecycle.Qualify()):
        await office.act(first, command)

    lead = await office.lead("ld_1")
    assert (lead.holder, lead.record.state, lead.record.cycle) == ("cleo", "opportunity", 1)
    closed = (await office.told(told.CLOSED))[-1][1]
    assert (closed["outcome"], closed["successor_id"]) == (
        "passed_to_closer",
        await office.open_handoff("ld_1"),
    )
    assert await office.problems() == []


async def test_a_lead_of_a_known_account_goes_to_its_owner(office: Office) -> None:
    policy = a_policy(version="p2")
    rules = (
        Rule(
            "accounts", Condition("known", "account"), (Target("account_owner"), Target("queue", "waiting"))
        ),
        *policy.rules,
    )
    accounts = {"acme": Account("acme", "Acme", "bob", ("acme.example",))}
    await office.publish(replace(policy, rules=rules, accounts=accounts))
    for number in range(3):
        await office.receive(a_snapshot(f"ld_{number}", traits={"company_domain": "acme.example"}))
        assert (await office.lead(f"ld_{number}")).holder == "bob"
    assert await office.problems() == []


async def test_an_opportunity_reassigned_by_hand_stays_one_with_its_stage(office: Office) -> None:
    await office.receive(a_snapshot("ld_1"))
    first = await office.open_handoff("ld_1")
    rep = (await office.lead("ld_1")).holder
    for command in (lifecycle.Accept(), lifecycle.Contact(), lifecycle.Qualify("qualified", 900.0, "EUR")):
        await office.act(first, command)
    await office.act(first, lifecycle.Reassign(), by="boss")

    lead = await office.lead("ld_1")
    assert lead.holder not in (rep, None)
    assert lead.handoff is not None
    assert (lead.record.state, lead.handoff.stage, lead.handoff.amount) == ("opportunity", "qualified", 900.0)
    assert (await office.told(told.CLOSED))[-1][1]["outcome"] == "reassigned"
    assert await office.problems() == []
