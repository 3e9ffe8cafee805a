"""A stored decision gives back every rule of its path and every candidate with its numbers."""

from dataclasses import replace
from datetime import UTC, datetime

import msgspec
import pytest

from services.routing.adapters.decision_rows import packed, unpacked
from services.routing.domain.decide import Decision, LeadFacts, Roster, decide
from services.routing.domain.eligibility import MemberState
from services.routing.domain.policy import Person, Policy
from tests.support.routing_policies import policy_of

NOON = datetime(2026, 6, 3, 12, 0, tzinfo=UTC)
LEAD = LeadFacts("lead", 1, "A1", 90_000, 80_000, model_version="m1")
POLICY = policy_of()
BUSY = Roster({"anna": MemberState(paused_until=NOON.replace(hour=15)), "bilal": MemberState(open_load=3)})
NOBODY = Roster({name: MemberState(online=False) for name in POLICY.people})


def a_large_team(size: int) -> Policy:
    anna = POLICY.people["anna"]
    reps: dict[str, Person] = {f"rep{n}": replace(anna, id=f"rep{n}", open_cap=40) for n in range(size)}
    return replace(POLICY, people=POLICY.people | reps)


@pytest.mark.parametrize("roster", [Roster(), BUSY, NOBODY], ids=["free", "busy", "nobody"])
@pytest.mark.parametrize(
    "lead",
    [
        LEAD,
        replace(LEAD, traits={"country": "SE"}),
        replace(LEAD, traits={"email_domain": "acme.example"}),
        replace(LEAD, only_person="anna"),
        replace(LEAD, grade="D4", fit=0),
    ],
    ids=["big", "country", "account", "by_name", "last_queue"],
)
def test_what_was_stored_is_given_back(lead: LeadFacts, roster: Roster) -> None:
    decision = decide(lead, POLICY, roster, NOON)
    assert as_read(decision) == as_decided(decision)


def test_the_record_of_a_large_team_is_a_fraction_of_its_candidates_one_by_one() -> None:
    decision = decide(replace(LEAD, traits={"country": "SE"}), a_large_team(198), Roster(), NOON)
    assert len(decision.candidates) == 200
    assert as_read(decision) == as_decided(decision)
    one_by_one = len(msgspec.json.encode(decision.candidates))
    assert len(msgspec.json.encode(packed(decision))) < one_by_one / 3


def as_read(decision: Decision) -> object:
    return unpacked(msgspec.json.decode(msgspec.json.encode(packed(decision))))


def as_decided(decision: Decision) -> object:
    whole = msgspec.json.decode(msgspec.json.encode(decision))
    del whole["rotation"], whole["asked"]
    return whole | {"candidates": msgspec.json.decode(msgspec.json.encode(decision.candidates))}
