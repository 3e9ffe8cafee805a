"""Decisions: rules in order, accounts first, fair share in the team, never a null owner, everything said."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.routing.domain.conditions import fields_read, holds
from services.routing.domain.decide import (
    Decision,
    LeadFacts,
    Roster,
    backlog_key,
    decide,
    in_backlog_order,
    matches,
    next_wake,
    sla_for,
    teams_touched,
)
from services.routing.domain.eligibility import MemberState
from services.routing.domain.policy import Condition, Rule, Target
from services.routing.domain.rotation import Rotation
from tests.support.routing_policies import SMALL, policy_of

POLICY = policy_of()
NOON = datetime(2026, 6, 3, 12, 0, tzinfo=UTC)  # a Wednesday
SUNDAY = datetime(2026, 6, 7, 12, 0, tzinfo=UTC)
LEAD = LeadFacts("lead", 1, "B2", 60_000, 40_000, model_version="m1")
SWEDE = replace(LEAD, traits={"country": "se"})
ACME = replace(LEAD, traits={"email_domain": "ACME.example", "country": "SE"})
ALL_OFF = {name: MemberState(online=False) for name in POLICY.people}


def test_the_first_matching_rule_decides_and_the_path_says_so() -> None:
    decision = decide(SWEDE, POLICY, Roster(), NOON)
    assert (decision.rule, decision.team_id, decision.queue) == ("north", "north", None)
    assert [(step.rule, step.result) for step in decision.path] == [
        ("account", "not_matched"), ("north", "matched"), ("north", "taken"),
    ]  # fmt: skip
    assert decision.policy_version == "v1"
    assert decision.model_version == "m1"
    assert decision.calendar_versions == {"always": "always@v1"}
    assert decision.inputs["traits.country"] == "se"


def test_an_accounts_owner_comes_before_the_territory() -> None:
    decision = decide(ACME, POLICY, Roster(), NOON)
    assert (decision.person_id, decision.rule, decision.account_id) == ("carla", "account", "acme")
    assert decision.rotation is None  # a farmed lead does not count in the team's rotation


def test_an_owner_who_is_away_falls_back_to_their_team_then_the_queue() -> None:
    decision = decide(ACME, POLICY, Roster(), SUNDAY)
    assert (decision.person_id, decision.queue) == (None, "triage")
    assert [c.lost_because for c in decision.candidates] == ["outside_hours", "outside_hours"]


def test_a_lead_that_no_rule_matches_waits_in_the_last_queue() -> None:
    decision = decide(LEAD, POLICY, Roster(), NOON)
    assert (decision.person_id, decision.queue, decision.rule) == (None, "triage", "last-queue")


def test_every_candidate_of_the_team_is_named_with_numbers_and_why_they_lost() -> None:
    roster = Roster({"anna": MemberState(paused_until=NOON + timedelta(hours=1))})
    decision = decide(SWEDE, POLICY, roster, NOON)
    lost = {candidate.person_id: candidate.lost_because for candidate in decision.candidates}
    assert lost == {"anna": "paused", "bilal": ""}
    shared = decide(SWEDE, POLICY, Roster(), NOON)
    shares = {c.person_id: (c.share, c.assigned, c.deadline, c.lost_because) for c in shared.candidates}
    assert shares == {"anna": (250_000_000, 0, 3, "not_their_turn"), "bilal": (750_000_000, 0, 1, "")}


def test_a_thousand_leads_follow_the_weights() -> None:
    rotation, served = Rotation(), {"anna": 0, "bilal": 0}
    for _ in range(1_000):
        decision = decide(SWEDE, POLICY, Roster(rotations={"north": rotation}), NOON)
        assert decision.person_id is not None
        assert decision.rotation is not None
        served[decision.person_id] += 1
        rotation = decision.rotation
    assert served == {"anna": 250, "bilal": 750}


def test_who_rejected_or_was_silent_is_not_asked_again() -> None:
    lead = replace(SWEDE, rejected_by=frozenset({"anna"}), tried=frozenset({"bilal"}))
    decision = decide(lead, POLICY, Roster(), NOON)
    assert decision.queue == "north-waits"
    assert {c.person_id: c.lost_because for c in decision.candidates} == {
        "anna": "rejected_before", "bilal": "already_tried",
    }  # fmt: skip


def test_a_reassignment_by_name_goes_over_hours_but_not_to_the_deactivated() -> None:
    lead = replace(SWEDE, only_person="carla")
    assert decide(lead, POLICY, Roster(), SUNDAY).person_id == "carla"
    gone = Roster({"carla": MemberState(active=False)})
    assert decide(lead, POLICY, gone, SUNDAY).queue == "triage"
    assert decide(replace(lead, only_person="nobody"), POLICY, Roster(), NOON).queue == "triage"


def test_passing_on_asks_only_that_team() -> None:
    decision = decide(replace(SWEDE, only_team="south"), POLICY, Roster(), NOON)
    assert (decision.person_id, decision.team_id) == ("carla", "south")


def test_skills_may_come_from_traits() -> None:
    text = SMALL.replace(
        "to: [team: north, team: south,", "skills_from: [language]\n    to: [team: north, team: south,"
    )
    lead = replace(LEAD, grade="A1", fit=90_000, engagement=70_000, traits={"language": "ES"})
    decision = decide(lead, policy_of(text), Roster(), NOON)
    assert decision.person_id == "carla"
    assert {c.person_id: c.lost_because for c in decision.candidates}["anna"] == "skill_missing"


def test_the_rows_to_lock_are_known_before_deciding() -> None:
    strong = replace(LEAD, grade="A1", fit=90_000, engagement=70_000)
    assert teams_touched(strong, POLICY) == ("north", "south")
    assert teams_touched(ACME, POLICY) == ("south",)
    assert teams_touched(replace(LEAD, only_team="north"), POLICY) == ("north",)


COUNTRIES = st.sampled_from([None, "SE", "no", "FR"])
LEADS = st.builds(
    lambda country, grade, fit, domain: replace(
        LEAD, grade=grade, fit=fit, engagement=fit,
        traits={k: v for k, v in {"country": country, "email_domain": domain}.items() if v},
    ),
    COUNTRIES, st.sampled_from(["A1", "A2", "C3"]), st.integers(0, 100_000),
    st.sampled_from([None, "acme.example"]),
)  # fmt: skip
MEMBERS = st.builds(
    MemberState,
    online=st.booleans(),
    active=st.booleans(),
    paused_until=st.none() | st.just(NOON + timedelta(minutes=5)),
    open_load=st.integers(0, 3),
)


@settings(max_examples=150, deadline=None)
@given(
    LEADS, st.dictionaries(st.sampled_from(sorted(POLICY.people)), MEMBERS), st.sampled_from([NOON, SUNDAY])
)
def test_a_decision_is_a_person_or_a_queue_and_always_the_same_one(
    lead: LeadFacts, members: dict[str, MemberState], now: datetime
) -> None:
    decision: Decision = decide(lead, POLICY, Roster(members), now)
    assert (decision.person_id is None) is (decision.queue is not None)
    assert decision == decide(lead, POLICY, Roster(members), now)
    chosen = [candidate.person_id for candidate in decision.candidates if not candidate.lost_because]
    assert chosen == ([decision.person_id] if decision.person_id else [])
    if decision.rotation is not None:
        assert decision.team_id in teams_touched(lead, POLICY)


def test_a_backlog_is_offered_by_score_then_age() -> None:
    old = replace(LEAD, lead_id="old", queued_at=NOON - timedelta(hours=2))
    new = replace(LEAD, lead_id="new", queued_at=NOON)
    strong = replace(LEAD, lead_id="strong", fit=90_000, queued_at=NOON)
    assert [lead.lead_id for lead in in_backlog_order([new, strong, old])] == ["strong", "old", "new"]
    assert backlog_key(old) < backlog_key(new)


def test_a_queue_wakes_when_the_first_of_its_people_may_come_free() -> None:
    paused = NOON + timedelta(minutes=5)
    roster = Roster({**ALL_OFF, "anna": MemberState(paused_until=paused)})
    assert next_wake(POLICY, roster, "north-waits", NOON) == paused
    assert next_wake(POLICY, Roster(ALL_OFF), "north-waits", NOON) is None
    owner = Roster({**ALL_OFF, "carla": MemberState()})
    assert next_wake(POLICY, owner, "triage", SUNDAY) == datetime(2026, 6, 8, 7, 0, tzinfo=UTC)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(POLICY.people)), MEMBERS))
def test_a_lead_in_a_queue_is_not_assignable_before_the_wake(members: dict[str, MemberState]) -> None:
    roster = Roster({**ALL_OFF, **members})
    waiting = decide(ACME, POLICY, roster, SUNDAY)
    if waiting.queue is None:
        return
    wake = next_wake(POLICY, roster, waiting.queue, SUNDAY)
    end = min(wake or SUNDAY + timedelta(days=2), SUNDAY + timedelta(days=2))
    at = SUNDAY
    while at < end:
        assert decide(ACME, POLICY, roster, at).queue is not None
        at += timedelta(minutes=30)


CONDITIONS: list[tuple[Condition, bool]] = [
    (Condition("is", "traits.country", ("SE",)), True),  # text without case
    (Condition("in", "traits.country", ("DE", "se")), True),
    (Condition("is", "traits.employees", (True,)), False),  # 1 is not true
    (Condition("at_least", "traits.employees", (1,)), True),
    (Condition("at_most", "traits.employees", (0,)), False),
    (Condition("at_least", "traits.country", (1,)), False),  # a text is not more than a number
    (Condition("contains", "traits.interests", ("sla",)), True),  # one of a list
    (Condition("starts_with", "traits.interests", ("rou",)), True),
    (Condition("known", "traits.country"), True),
    (Condition("known", "traits.city"), False),
    (Condition("known", "traits.city", (False,)), True),
    (Condition("is", "traits.city", ("",)), False),  # what is missing equals nothing
    (Condition("not", children=(Condition("is", "traits.city", ("Oslo",)),)), True),
    (Condition("any", children=(Condition("is", "grade", ("A1",)), Condition("is", "grade", ("B2",)))), True),
    (
        Condition("all", children=(Condition("is", "grade", ("A1",)), Condition("is", "grade", ("B2",)))),
        False,
    ),
    (Condition("at_least", "score", (100_000,)), True),
]


@pytest.mark.parametrize(("condition", "expected"), CONDITIONS)
def test_a_condition_reads_what_is_known(condition: Condition, expected: bool) -> None:
    lead = replace(SWEDE, traits={"country": "se", "employees": 1, "interests": ["routing", "SLA"]})
    assert matches(condition, lead, POLICY) is expected


def test_a_condition_names_the_fields_it_reads() -> None:
    tree = Condition(
        "all", children=(Condition("is", "grade", ("A1",)), Condition("known", "traits.country"))
    )
    assert fields_read(tree) == {"grade", "traits.country"}
    assert not holds(tree, lambda _: None)


def test_the_first_sla_policy_that_matches_is_used() -> None:
    hot = "sla:\n  - id: hot\n    when: {hand_raise: true}\n    clocks:\n      accept: {target: 5m}\n"
    policy = policy_of(SMALL.replace("sla:\n", hot))
    assert sla_for(replace(LEAD, hand_raise=True), policy).id == "hot"
    assert sla_for(LEAD, policy).id == "standard"


def test_a_decision_for_the_needs_data_queue_names_what_is_missing() -> None:
    lead = replace(SWEDE, needs_data=True, missing=("company", "industry"))
    when = Condition("is", "needs_data", (True,))
    rule = Rule("needs-data", when, (Target("queue", "triage"),), "We know too little")
    decision = decide(lead, replace(POLICY, rules=(rule, *POLICY.rules)), Roster(), NOON)
    assert decision.queue == "triage"
    assert (decision.inputs["needs_data"], decision.inputs["missing"]) == (True, "company, industry")
    assert decision.reason.endswith("for company, industry")
    known = decide(SWEDE, replace(POLICY, rules=(rule, *POLICY.rules)), Roster(), NOON)
    assert known.rule == "north"
