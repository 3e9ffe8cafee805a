"""Who may take a lead now: one reason each, with numbers, and when the clock alone will change it."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.routing.domain.eligibility import (
    MemberState,
    Need,
    Refusal,
    judge,
    judge_all,
    local_date,
    next_change,
    next_local_midnight,
)
from services.routing.domain.policy import Person, TimeOff
from tests.support.routing_policies import policy_of

POLICY = policy_of()
NOON = datetime(2026, 6, 3, 12, 0, tzinfo=UTC)  # a Wednesday
HOUR = timedelta(hours=1)
ANNA = replace(
    POLICY.people["anna"], calendar="office", timezone="Europe/Berlin", daily_cap=5, open_cap=10,
    skills=frozenset({"language:DE"}),
)  # fmt: skip
FREE = MemberState()

CASES: dict[Refusal, tuple[MemberState, Need, datetime]] = {
    "deactivated": (MemberState(active=False), Need(), NOON),
    "out_of_rotation": (MemberState(out_of_rotation_until=NOON + HOUR), Need(), NOON),
    "rejected_before": (FREE, Need(rejected_by=frozenset({"anna"})), NOON),
    "already_tried": (FREE, Need(tried=frozenset({"anna"})), NOON),
    "excluded": (FREE, Need(excluded=frozenset({"anna"})), NOON),
    "skill_missing": (FREE, Need(skills=frozenset({"language:es"})), NOON),
    "offline": (MemberState(online=False), Need(), NOON),
    "paused": (MemberState(paused_until=NOON + HOUR), Need(), NOON),
    "time_off": (MemberState(time_off=(TimeOff(NOON - HOUR, NOON + HOUR),)), Need(), NOON),
    "outside_hours": (FREE, Need(), NOON + 5 * HOUR),
    "daily_cap": (MemberState(assigned_on=date(2026, 6, 3), assigned_today=5), Need(), NOON),
    "open_cap": (MemberState(open_load=10), Need(), NOON),
}


@pytest.mark.parametrize("refusal", CASES)
def test_each_refusal_has_its_code(refusal: Refusal) -> None:
    member, need, now = CASES[refusal]
    verdict = judge(ANNA, member, need, POLICY, now)
    assert (verdict.refusal, verdict.eligible) == (refusal, False)


def test_nothing_against_somebody_means_eligible_with_the_load_as_numbers() -> None:
    verdict = judge(ANNA, MemberState(open_load=3), Need(skills=frozenset({"language:de"})), POLICY, NOON)
    assert verdict.eligible
    assert verdict.numbers == {"today": 0, "open": 3, "daily_cap": 5, "open_cap": 10}


def test_a_refusal_by_the_hour_says_when_it_ends() -> None:
    evening = judge(ANNA, FREE, Need(), POLICY, NOON + 5 * HOUR)
    assert evening.until == datetime(2026, 6, 4, 7, 0, tzinfo=UTC)
    assert evening.numbers["local"] == "Wed 19:00"


@pytest.mark.parametrize("edge", [-1, 0])
def test_a_pause_ends_at_its_instant(edge: int) -> None:
    member = MemberState(paused_until=NOON + timedelta(seconds=edge + 1))
    assert judge(ANNA, member, Need(), POLICY, NOON).eligible is (edge == -1)


def test_the_daily_cap_counts_the_day_of_the_reps_zone() -> None:
    tokyo = replace(ANNA, calendar="always", timezone="Asia/Tokyo")
    full = MemberState(assigned_on=date(2026, 6, 3), assigned_today=5)
    before, after = datetime(2026, 6, 3, 14, 59, tzinfo=UTC), datetime(2026, 6, 3, 15, 0, tzinfo=UTC)
    refused = judge(tokyo, full, Need(), POLICY, before)
    assert (refused.refusal, refused.until) == ("daily_cap", after)
    assert local_date(tokyo, after) == date(2026, 6, 4)
    assert judge(tokyo, full, Need(), POLICY, after).eligible


def test_a_day_begins_at_the_gap_where_midnight_is_skipped() -> None:
    person = replace(ANNA, timezone="Africa/Cairo")
    evening = datetime(2024, 4, 25, 20, 0, tzinfo=UTC)
    begins = next_local_midnight(person, evening)
    assert local_date(person, begins) == date(2024, 4, 26)
    assert local_date(person, begins - timedelta(seconds=1)) == date(2024, 4, 25)


@pytest.mark.parametrize("member", [MemberState(active=False), MemberState(online=False)])
def test_what_only_an_act_can_change_has_no_next_change(member: MemberState) -> None:
    assert next_change(ANNA, member, POLICY, NOON) is None


_minutes = st.integers(-3000, 3000).map(lambda minutes: NOON + timedelta(minutes=minutes))
MEMBERS = st.builds(
    MemberState,
    paused_until=st.none() | _minutes,
    out_of_rotation_until=st.none() | _minutes,
    time_off=st.lists(
        st.builds(lambda at, hours: TimeOff(at, at + hours * HOUR), _minutes, st.integers(1, 30)), max_size=2
    ).map(tuple),
    assigned_on=st.sampled_from([None, date(2026, 6, 2), date(2026, 6, 3), date(2026, 6, 4)]),
    assigned_today=st.integers(0, 6),
    open_load=st.integers(0, 11),
)
PEOPLE = st.builds(
    lambda calendar, zone, cap: replace(ANNA, calendar=calendar, timezone=zone, daily_cap=cap),
    st.sampled_from(["office", "always"]),
    st.sampled_from(["Europe/Berlin", "Asia/Tokyo", "America/Los_Angeles"]),
    st.sampled_from([None, 5]),
)


@settings(max_examples=150, deadline=None)
@given(PEOPLE, MEMBERS)
def test_until_the_next_change_the_clock_changes_nothing(person: Person, member: MemberState) -> None:
    change = next_change(person, member, POLICY, NOON)
    end = min(change or NOON + 72 * HOUR, NOON + 72 * HOUR)
    before = judge(person, member, Need(), POLICY, NOON).eligible
    at = NOON
    while at < end:
        # A date ahead of today would be a count of the future: the store never has one.
        if member.assigned_on is None or member.assigned_on <= local_date(person, NOON):
            assert judge(person, member, Need(), POLICY, at).eligible is before
        at += timedelta(minutes=7)


NEEDS = st.builds(
    lambda ids, skills: Need(skills, *ids),
    st.tuples(*[st.sets(st.sampled_from(["rep0", "rep1"]), max_size=1).map(frozenset)] * 3),
    st.sampled_from([frozenset[str](), frozenset({"language:de"}), frozenset({"language:es"})]),
)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(PEOPLE, st.booleans(), st.none() | MEMBERS), min_size=1, max_size=4),
    NEEDS,
    st.sampled_from([NOON, NOON + 5 * HOUR]),
)
def test_a_team_is_judged_as_each_of_its_people_alone(
    team: list[tuple[Person, bool, MemberState | None]], need: Need, now: datetime
) -> None:
    people = [replace(who, id=f"rep{n}", active=active) for n, (who, active, _) in enumerate(team)]
    members = {f"rep{n}": member for n, (_, _, member) in enumerate(team) if member is not None}
    alone = [judge(who, members.get(who.id, FREE), need, POLICY, now) for who in people]
    assert judge_all(people, members, need, POLICY, now) == alone
