"""The next change by time alone is found at its exact second and never missed."""

import dataclasses
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from services.scoring.domain.activity import Activity
from services.scoring.domain.compile import compile_model
from services.scoring.domain.crossing import next_crossing
from services.scoring.domain.model import BandEdges, Level, Model, Required, Signal
from services.scoring.domain.score import Score, score
from services.scoring.domain.signals import DayCount, count_activities, utc_day
from tests.support import scoring_strategies as some
from tests.unit.scoring.test_engagement_and_fit import SMALL

AT = datetime(2026, 3, 10, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def _told(found: Score) -> tuple[Any, ...]:
    return (
        found.grade,
        found.enters,
        found.holds,
        found.level_reason,
        found.hand_raise,
        found.needs_data,
        found.missing,
    )


@settings(max_examples=40, deadline=None)
@given(some.models(), some.timelines(12), some.any_instant, some.traits, st.none() | some.any_instant)
def test_no_change_by_time_alone_is_missed(
    model: Model, activities: list[Activity], after: datetime, traits: Any, cut: datetime | None
) -> None:
    counts = count_activities(model, activities, as_of=after, cut=cut)

    def told(at: datetime) -> tuple[Any, ...]:
        return _told(score(counts, traits, model, as_of=at, cut=cut))

    horizon = timedelta(days=30)
    found = next_crossing(counts, traits, compile_model(model), after=after, cut=cut, horizon=horizon)
    end = found if found is not None else after + horizon
    steps = int((end - after) / timedelta(minutes=97))
    samples = [after + timedelta(minutes=97) * step for step in range(1, steps + 1)]
    midnights = [datetime(at.year, at.month, at.day, tzinfo=UTC) for at in samples]
    for at in {*samples, *(midnight for midnight in midnights if midnight > after)}:
        if at < end:
            assert told(at) == told(after)
    if found is not None:
        assert told(found) != told(after)
        assert found - SECOND <= after or told(found - SECOND) == told(after)
        assert found.microsecond == 0


def test_the_crossing_is_the_second_at_which_the_lead_stops_holding() -> None:
    model = dataclasses.replace(SMALL, signals=(Signal("visit", "Visit", 90_000, 10),))
    traits = {"title": "clerk", "country": "DE"}
    rows = [DayCount("visit", utc_day(AT), 1)]
    after, held = AT, True
    while held:
        found = next_crossing(rows, traits, model, after=after)
        assert found is not None
        assert score(rows, traits, model, as_of=found - SECOND).holds
        held, after = score(rows, traits, model, as_of=found).holds, found
    # Fit 40 counts half, so the lead holds until half of its engagement is less than the 20 that lack.
    days = (after - datetime(2026, 3, 11, tzinfo=UTC)) / timedelta(days=1)
    assert abs(90 * 2 ** (-days / 10) - 40) < 0.001


def test_a_score_that_fades_five_points_from_the_published_one_is_a_crossing() -> None:
    rows = [DayCount("page", utc_day(AT), 2)]
    found = next_crossing(rows, {}, SMALL, after=AT, published_engagement=8_000)
    assert found is not None
    assert score(rows, {}, SMALL, as_of=found).engagement <= 3_000
    assert score(rows, {}, SMALL, as_of=found - SECOND).engagement > 3_000


def test_a_lead_that_nothing_can_change_has_no_crossing() -> None:
    assert next_crossing([], {}, SMALL, after=AT) is None
    forever = [DayCount("visit", utc_day(AT - timedelta(days=60)), 1)]
    assert next_crossing(forever, {}, SMALL, after=AT, published_engagement=1_000) is None


def test_a_loss_that_fades_lets_the_lead_enter_again() -> None:
    junk = DayCount("unsub", utc_day(AT), 1)
    fading = Signal("unsub", "Unsubscribed", -20_000, 5, names=("unsub",))
    model = dataclasses.replace(SMALL, signals=(*SMALL.signals, fading))
    traits = {"title": "VP", "country": "US"}
    rows = [DayCount("visit", utc_day(AT - timedelta(days=60)), 41), junk]
    assert not score(rows, traits, model, as_of=AT).enters
    found = next_crossing(rows, traits, model, after=AT)
    assert found is not None
    while found is not None and not score(rows, traits, model, as_of=found).enters:
        found = next_crossing(rows, traits, model, after=found)
    assert found is not None


def test_a_dip_between_two_stays_above_the_line_is_found() -> None:
    signals = (
        Signal("stays", "Stays", 45_000, None),
        Signal("fades", "Fades", 10_000, 1),
        Signal("loss", "Loss", -15_000, 20),
    )
    level = Level("threshold", 0, 100, 39_000, 38_000)
    bands = BandEdges(99_000, 98_000, 97_000)
    model = dataclasses.replace(
        SMALL, signals=signals, level=level, required=Required(), engagement_bands=bands
    )
    rows = [DayCount(signal.id, utc_day(AT), 1) for signal in signals]
    far = AT + timedelta(days=100)
    assert score(rows, {}, model, as_of=AT).holds
    assert score(rows, {}, model, as_of=far).holds
    dips, after = 0, AT
    while (found := next_crossing(rows, {}, model, after=after)) is not None:
        dips += not score(rows, {}, model, as_of=found).holds
        after = found
    assert dips
