"""Fair share: exact splitting, the bound while the eligible set is constant, and what a change does."""

from collections import Counter
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.routing.domain.rotation import UNIT, Rotation, shares, take_turn

WEIGHTS = st.dictionaries(
    st.integers(0, 30).map("rep{:02}".format),
    st.integers(1, 1000) | st.integers(1, 3),
    min_size=1,
    max_size=12,
)


@given(WEIGHTS)
def test_the_shares_of_a_lead_are_whole_units_that_sum_to_one_lead(weights: dict[str, int]) -> None:
    split = shares(weights)
    total = sum(weights.values())
    assert sum(split.values()) == UNIT
    assert all(abs(split[rep] - UNIT * weight / total) < 1 for rep, weight in weights.items())


def test_what_rounding_leaves_goes_to_the_largest_remainders_then_the_lowest_ids() -> None:
    assert shares({"b": 1, "a": 1, "c": 1}) == {"a": 333_333_334, "b": 333_333_333, "c": 333_333_333}
    assert shares({"a": 1, "b": 5}) == {"a": 166_666_667, "b": 833_333_333}


@pytest.mark.parametrize("weights", [{}, {"a": 0}, {"a": 1, "b": -1}])
def test_a_team_without_weight_is_refused(weights: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="weight of 1 or more"):
        shares(weights)


@settings(max_examples=40, deadline=None)
@given(WEIGHTS, st.integers(1, 1500))
def test_nobody_is_a_whole_lead_off_while_the_set_is_constant(weights: dict[str, int], turns: int) -> None:
    rotation = Rotation()
    for _ in range(turns):
        rotation = take_turn(rotation, weights).rotation
        assert all(abs(standing.shortfall) < UNIT for standing in rotation.standings.values())
    assert sum(standing.assigned for standing in rotation.standings.values()) == turns


def test_five_thousand_turns_of_a_lopsided_team_stay_within_one_lead() -> None:
    weights = {"senior": 997, "junior": 101, "trainee": 3, "twin": 3, "part-time": 499}
    rotation = Rotation()
    for _ in range(5_000):
        turn = take_turn(rotation, weights)
        rotation = turn.rotation
        assert turn.method == "earliest_deadline"
        assert all(abs(standing.shortfall) < UNIT for standing in rotation.standings.values())


def test_equal_reps_take_turns() -> None:
    rotation, order = Rotation(), []
    for _ in range(6):
        turn = take_turn(rotation, {"a": 1, "b": 1, "c": 1})
        rotation = turn.rotation
        order.append(turn.person_id)
    assert Counter(order[:3]) == Counter(order[3:]) == Counter("abc")


def test_a_change_of_the_set_serves_the_largest_shortfall() -> None:
    rotation = take_turn(Rotation(), {"a": 1, "b": 1, "c": 2}).rotation
    turn = take_turn(rotation, {"a": 1, "b": 1})
    assert turn.method == "largest_shortfall"
    assert turn.before[turn.person_id].shortfall == max(s.shortfall for s in turn.before.values())


def _turns(rotation: Rotation, weights: dict[str, int], count: int) -> tuple[Rotation, Counter[str]]:
    served: Counter[str] = Counter()
    for _ in range(count):
        turn = take_turn(rotation, weights)
        rotation = turn.rotation
        served[turn.person_id] += 1
    return rotation, served


def test_a_joiner_is_neither_flooded_nor_starved() -> None:
    rotation, _ = _turns(Rotation(), {"a": 1, "b": 1}, 1_000)
    _, served = _turns(rotation, {"a": 1, "b": 1, "new": 1}, 30)
    assert abs(served["new"] - 10) <= 1


def test_who_comes_back_from_a_long_absence_goes_on_at_the_normal_pace() -> None:
    rotation, _ = _turns(Rotation(), {"a": 1, "b": 1, "c": 1}, 301)
    rotation, _ = _turns(rotation, {"a": 1, "b": 1}, 1_000)
    _, served = _turns(rotation, {"a": 1, "b": 1, "c": 1}, 30)
    assert abs(served["c"] - 10) <= 1


@settings(max_examples=30, deadline=None)
@given(WEIGHTS, st.integers(0, 2**32))
def test_shortfalls_cancel_out_however_the_set_changes(weights: dict[str, int], seed: int) -> None:
    rotation, chance = Rotation(), Random(seed)  # drawn turn by turn, the sets would be too much to draw
    for _ in range(200):
        eligible = {rep: weight for rep, weight in weights.items() if chance.random() < 0.6} or weights
        turn = take_turn(rotation, eligible)
        assert turn.person_id in eligible
        rotation = turn.rotation
    assert sum(standing.shortfall for standing in rotation.standings.values()) == 0
    # Not promised by a constant, but a rep who is served by shortfall never runs away from their share.
    assert all(abs(standing.shortfall) < 4 * UNIT for standing in rotation.standings.values())
