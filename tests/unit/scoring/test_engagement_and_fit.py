"""Scores against the slow oracle, and what holds of every score."""

import dataclasses
import random
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from services.scoring.domain.activity import Activity, wins
from services.scoring.domain.compile import compile_model
from services.scoring.domain.conditions import Test
from services.scoring.domain.identity import Identity
from services.scoring.domain.line import Line
from services.scoring.domain.model import BandEdges, Bands, FitRule, Group, Level, Model, Required, Signal
from services.scoring.domain.score import Score, score
from services.scoring.domain.signals import DayCount, count_activities, partial_days, utc_day
from tests.support import scoring_strategies as some
from tests.support.scoring_oracle import OracleLead, Timeline, recompute

ADA = Identity("user", "ada")
AT = datetime(2026, 3, 10, 12, tzinfo=UTC)


def _ada(activity: Activity) -> Activity:
    """Return the activity as one of a single known user."""
    return dataclasses.replace(activity, anonymous_id=None, user_id="ada", email=None, previous_id=None)


def _plain_features(traits: Any, emails: Any) -> dict[str, Any]:
    return dict(traits)


def _oracle(model: Model, activities: list[Activity], as_of: datetime, cut: datetime | None) -> OracleLead:
    timeline = Timeline(activities, model, _plain_features, cuts={ADA: [(1, cut)]})
    return recompute(timeline, as_of)[frozenset({ADA})]


def _winning(activities: list[Activity]) -> list[Activity]:
    kept: dict[str, Activity] = {}
    for activity in activities:
        kept[activity.event_id] = wins(activity, kept.get(activity.event_id, activity))
    return list(kept.values())


def _domain(model: Any, rules: Model, activities: list[Activity], as_of: datetime, cut: Any) -> Score:
    kept = _winning(activities)
    counts = list(count_activities(rules, kept, as_of=as_of, cut=cut))
    seen = [activity for activity in kept if activity.occurred_at <= as_of]
    traits: dict[str, Any] = {}
    for activity in sorted(seen, key=lambda activity: activity.position):
        traits |= {name: value for name, value in activity.traits.items() if value not in (None, "", [])}
    random.Random(len(counts)).shuffle(counts)
    return score(counts, traits, model, as_of=as_of, cut=cut)


@settings(max_examples=80, deadline=None)
@given(some.models(), some.timelines(), some.any_instant, st.none() | some.any_instant, st.randoms())
def test_a_score_equals_the_recomputation_from_the_timeline(
    model: Model, activities: list[Activity], as_of: datetime, cut: datetime | None, rng: random.Random
) -> None:
    activities = [_ada(activity) for activity in activities]
    # A cut is made when it is told, so none lies after the instant that is asked for.
    cut = min(cut, as_of) if cut else None
    expected = _oracle(model, activities, as_of, cut)
    shuffled = activities + rng.sample(activities, len(activities) // 2)
    rng.shuffle(shuffled)
    for engine in (model, compile_model(model)):
        found = _domain(engine, model, shuffled, as_of, cut)
        assert found.lines == expected.lines
        assert (found.fit, found.engagement, found.grade) == (
            expected.fit,
            expected.engagement,
            expected.grade,
        )
        assert (found.enters, found.holds) == (expected.enters, expected.holds)
        assert (found.hand_raise, found.needs_data) == (expected.hand_raise, expected.needs_data)


@settings(max_examples=40, deadline=None)
@given(some.models(), some.timelines(), some.traits, some.any_instant, st.none() | some.any_instant)
def test_lines_sum_exactly_to_scores_between_0_and_100(
    model: Model, activities: list[Activity], traits: Any, as_of: datetime, cut: datetime | None
) -> None:
    counts = count_activities(model, activities, as_of=as_of, cut=cut)
    found = score(counts, traits, model, as_of=as_of, cut=cut)
    for dimension, points in (("fit", found.fit), ("engagement", found.engagement)):
        assert sum(line.points for line in found.lines if line.dimension == dimension) == points
        assert 0 <= points <= 100_000
        assert isinstance(points, int)


@settings(max_examples=40, deadline=None)
@given(some.models(), some.timelines(), some.any_instant, st.integers(0, 60), st.integers(0, 60))
def test_without_new_activity_gains_only_fade(
    model: Model, activities: list[Activity], as_of: datetime, one: int, other: int
) -> None:
    gaining = tuple(signal for signal in model.signals if signal.points > 0)
    model = dataclasses.replace(model, signals=gaining)
    counts = count_activities(model, activities, as_of=as_of, cut=None)
    sooner, later = sorted((as_of + timedelta(hours=7 * one), as_of + timedelta(hours=7 * other)))
    early = score(counts, {}, model, as_of=sooner).engagement
    assert score(counts, {}, model, as_of=later).engagement <= early


@settings(max_examples=40, deadline=None)
@given(some.models(), some.timelines(), some.any_instant, some.any_instant)
def test_what_counts_is_worth_the_same_whether_or_not_older_activity_is_known(
    model: Model, activities: list[Activity], as_of: datetime, cut: datetime
) -> None:
    known = count_activities(model, activities, as_of=as_of, cut=cut)
    after = [activity for activity in activities if activity.occurred_at > cut]
    alone = count_activities(model, after, as_of=as_of, cut=None)
    assert (
        score(known, {}, model, as_of=as_of, cut=cut).engagement
        == score(alone, {}, model, as_of=as_of).engagement
    )


@settings(max_examples=40, deadline=None)
@given(some.models(), some.timelines(), some.any_instant, st.none() | some.any_instant)
def test_cached_days_need_finer_counts_only_where_as_of_or_cut_lie(
    model: Model, activities: list[Activity], as_of: datetime, cut: datetime | None
) -> None:
    finer = partial_days(as_of, cut)
    far = as_of + timedelta(days=some.DAYS + 1)
    cached = [row for row in count_activities(model, activities, as_of=far, cut=None) if row.day not in finer]
    partial = [row for row in count_activities(model, activities, as_of=as_of, cut=cut) if row.day in finer]
    exact = count_activities(model, activities, as_of=as_of, cut=cut)
    assert score([*cached, *partial], {}, model, as_of=as_of, cut=cut) == score(
        exact, {}, model, as_of=as_of, cut=cut
    )


PAGE = Signal("page", "Page", 4_000, 10, kinds=("page",), cap_per_day=10_000, group="web")
DEMO = Signal("demo", "Demo", 30_000, None, names=("demo",), hand_raise=True)
VISITS = Signal("visit", "Visit", 1_000, None, names=("visit",), bands=Bands(7, ((3, 5_000), (5, 9_000))))
JUNK = Signal("junk", "Junk", -20_000, None, names=("junk",))
SMALL = Model(
    name="small",
    version="small@1",
    fit_rules=(
        FitRule("vp", "Decides", Test("title", "contains", "vp"), 80_000),
        FitRule("de", "Germany", Test("country", "is", "de"), 40_000),
        FitRule("rival", "Rival", Test("email_domain", "is", "rival.example"), disqualifies=True),
    ),
    signals=(PAGE, DEMO, VISITS, JUNK),
    groups=(Group("web", "Web", 15_000),),
    fit_bands=BandEdges(75_000, 50_000, 25_000),
    engagement_bands=BandEdges(75_000, 50_000, 25_000),
    level=Level("threshold", 50, 50, 60_000, 40_000, hand_raise_days=30),
    required=Required(("country",), 20_000),
)


def _points(lines: tuple[Line, ...]) -> list[tuple[str, str, int]]:
    return [(line.rule, line.kind, line.points) for line in lines if line.dimension == "engagement"]


def _days_ago(days: int) -> Any:
    return utc_day(AT) - timedelta(days=days)


def test_a_day_cap_is_a_line_of_its_own_and_sums_over_identities() -> None:
    rows = [DayCount("page", _days_ago(0), 2), DayCount("page", _days_ago(0), 2)]
    assert _points(score(rows, {}, SMALL, as_of=AT).lines) == [
        ("page", "signal", 16_000),
        ("page", "cap", -6_000),
    ]


def test_a_group_cap_counts_the_newest_day_first() -> None:
    rows = [DayCount("page", _days_ago(0), 3), DayCount("page", _days_ago(11), 3)]
    found = _points(score(rows, {}, SMALL, as_of=AT).lines)
    # Today 10 of 12 points; of the older day 5 more under the group's 15, a little over half decayed.
    assert found[0][:2] == ("page", "signal")
    assert sum(points for *_, points in found) == 10_000 + round(5_000 * 2 ** (-10.5 / 10))


def test_points_halve_after_one_half_life_from_the_end_of_the_day() -> None:
    rows = [DayCount("page", _days_ago(0), 1)]
    end = datetime(2026, 3, 11, tzinfo=UTC)
    assert score(rows, {}, SMALL, as_of=end).engagement == 4_000
    assert score(rows, {}, SMALL, as_of=end + timedelta(days=10)).engagement == 2_000
    assert score(rows, {}, SMALL, as_of=end + timedelta(days=20)).engagement == 1_000


def test_a_frequency_bonus_ends_with_its_window() -> None:
    rows = [DayCount("visit", _days_ago(0), 4)]
    end = datetime(2026, 3, 11, tzinfo=UTC)
    last = end + timedelta(days=7) - timedelta(microseconds=1)
    assert score(rows, {}, SMALL, as_of=last).engagement == 9_000
    assert score(rows, {}, SMALL, as_of=last + timedelta(microseconds=1)).engagement == 4_000


def test_what_the_cut_leaves_out_is_one_line_and_new_evidence_counts_whole() -> None:
    cut = AT - timedelta(hours=2)
    rows = [
        DayCount("demo", _days_ago(3), 1, last_at=AT - timedelta(days=3)),
        DayCount("visit", _days_ago(0), 2, left_out=True),
        DayCount("visit", _days_ago(0), 3),
    ]
    found = score(rows, {}, SMALL, as_of=AT, cut=cut)
    assert _points(found.lines) == [
        ("demo", "signal", 30_000),
        ("visit", "signal", 5_000),
        ("visit.frequency", "signal", 9_000),
        ("cut", "cut", -36_000),
    ]
    assert found.engagement == 8_000
    assert not found.hand_raise


def test_bots_earn_nothing_and_are_shown() -> None:
    found = score([DayCount("bot:page", _days_ago(0), 7)], {}, SMALL, as_of=AT)
    assert found.engagement == 0
    assert [
        (line.kind, line.points, line.inputs) for line in found.lines if line.dimension == "engagement"
    ] == [("bot", 0, {"count": 7})]


def test_a_score_below_nothing_is_clamped_by_a_line() -> None:
    rows = [DayCount("junk", _days_ago(0), 2), DayCount("page", _days_ago(0), 1)]
    assert _points(score(rows, {}, SMALL, as_of=AT).lines)[-1] == ("engagement", "clamp", 36_000)


def test_a_missing_trait_is_shown_as_unknown_and_adds_nothing() -> None:
    fit = [
        line for line in score([], {"title": "VP Sales"}, SMALL, as_of=AT).lines if line.dimension == "fit"
    ]
    assert [(line.rule, line.status, line.points) for line in fit] == [
        ("vp", "matched", 80_000),
        ("de", "unknown", 0),
        ("rival", "unknown", 0),
    ]
    assert fit[1].inputs == {"country": None}


def test_fit_over_100_is_clamped_by_a_line() -> None:
    found = score([], {"title": "VP", "country": "DE", "email_domain": "acme.example"}, SMALL, as_of=AT)
    assert found.fit == 100_000
    assert [line.points for line in found.lines] == [80_000, 40_000, -20_000]


def test_a_disqualified_lead_has_no_fit_and_never_enters_even_with_a_hand_raise() -> None:
    rows = [DayCount("demo", _days_ago(0), 1)]
    found = score(rows, {"title": "VP", "email_domain": "rival.example"}, SMALL, as_of=AT)
    assert (found.fit, found.enters, found.holds, found.disqualified) == (0, False, False, True)
    assert found.hand_raise


def test_a_hand_raise_enters_whatever_the_scores_until_its_days_are_over() -> None:
    raised_at = AT - timedelta(hours=1)
    rows = [DayCount("demo", _days_ago(0), 1, last_at=raised_at)]
    found = score(rows, {}, SMALL, as_of=AT)
    assert (found.enters, found.level_reason, found.hand_raised_at) == (True, "hand_raise", raised_at)
    end = datetime(2026, 3, 11, tzinfo=UTC) + timedelta(days=30)
    assert score(rows, {}, SMALL, as_of=end - timedelta(microseconds=1)).enters
    assert not score(rows, {}, SMALL, as_of=end).enters


def test_an_engaged_lead_without_a_required_trait_needs_data() -> None:
    rows = [DayCount("visit", _days_ago(0), 20)]
    found = score(rows, {"title": "VP"}, SMALL, as_of=AT)
    assert (found.needs_data, found.missing) == (True, ("country",))
    found = score(rows, {"title": "VP", "country": "US"}, SMALL, as_of=AT)
    assert (found.needs_data, found.missing) == (False, ())


def test_a_lead_holds_below_the_line_it_entered_by() -> None:
    traits = {"title": "VP", "country": "US"}
    entering = score([DayCount("visit", _days_ago(0), 31)], traits, SMALL, as_of=AT)
    holding = score([DayCount("visit", _days_ago(0), 10)], traits, SMALL, as_of=AT)
    below = score([], traits | {"title": "clerk"}, SMALL, as_of=AT)
    assert [(s.enters, s.holds) for s in (entering, holding, below)] == [
        (True, True),
        (False, True),
        (False, False),
    ]


def test_one_day_has_one_cap_on_both_sides_of_the_cut() -> None:
    rows = [DayCount("page", _days_ago(0), 2, left_out=True), DayCount("page", _days_ago(0), 2)]
    found = score(rows, {}, SMALL, as_of=AT, cut=AT - timedelta(hours=1))
    assert _points(found.lines) == [
        ("page", "signal", 16_000),
        ("page", "cap", -6_000),
        ("cut", "cut", -2_000),
    ]
