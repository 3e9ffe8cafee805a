"""Half-life decay in integers."""

from decimal import Decimal, getcontext

from hypothesis import given
from hypothesis import strategies as st

from services.scoring.domain.decay import DAY_US, SCALE, decay_factor, rounded

ages = st.integers(0, 4000 * DAY_US)
half_lives = st.integers(1, 400)


@given(ages, half_lives)
def test_the_factor_is_two_to_the_minus_age_over_half_life(age: int, half_life: int) -> None:
    getcontext().prec = 40
    exact = Decimal(2) ** (-Decimal(age) / (half_life * DAY_US)) * SCALE
    assert abs(decay_factor(age, half_life) - exact) <= exact * Decimal("1e-6") + 1


@given(ages, ages, half_lives)
def test_the_factor_never_rises_with_age(one: int, other: int, half_life: int) -> None:
    sooner, later = sorted((one, other))
    assert decay_factor(later, half_life) <= decay_factor(sooner, half_life) <= SCALE


def test_neighbouring_instants_do_not_rise_where_the_table_ends_and_begins() -> None:
    half_life_us = 7 * DAY_US
    edges = [half_life_us * step // 1024 for step in range(0, 4096, 3)]
    factors = [decay_factor(age, 7) for edge in edges for age in (edge - 1, edge, edge + 1)]
    assert factors == sorted(factors, reverse=True)


def test_nothing_decays_before_its_day_is_over_or_without_a_half_life() -> None:
    assert decay_factor(-5, 1) == decay_factor(0, 1) == decay_factor(10 * DAY_US, None) == SCALE


def test_halves_round_away_from_zero() -> None:
    half = SCALE // 2
    assert [rounded(n) for n in (half, half - 1, -half, -half + 1, 3 * half)] == [1, 0, -1, 0, 2]
