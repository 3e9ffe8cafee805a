"""Half-life decay in integers: the same on every platform, never rising with age.

2^-x is read from a table of 1025 exact values with linear interpolation between them (relative error < 1e-7).
"""

from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal, localcontext

SCALE_BITS = 62
SCALE = 1 << SCALE_BITS
_STEP_BITS = 10
_FRACTION_BITS = 32
_REST_BITS = _FRACTION_BITS - _STEP_BITS
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
MICROSECOND = timedelta(microseconds=1)
DAY_US = 86_400_000_000


def _table() -> tuple[int, ...]:
    # Decimal arithmetic is specified to the last digit, unlike the platform's floats.
    with localcontext() as context:
        context.prec = 50
        context.rounding = ROUND_HALF_EVEN
        root = Decimal(2) ** (Decimal(-1) / (1 << _STEP_BITS))
        powers = [Decimal(1)]
        for _ in range(1 << _STEP_BITS):
            powers.append(powers[-1] * root)
        return tuple(int((power * SCALE).to_integral_value()) for power in powers)


_TABLE = _table()


def instant_us(instant: datetime) -> int:
    """Return an aware instant as whole microseconds since 1970."""
    return (instant - _EPOCH) // MICROSECOND


def instant_at(microseconds: int) -> datetime:
    """Return the instant that many microseconds after 1970."""
    return _EPOCH + timedelta(microseconds=microseconds)


def day_end_us(day: date) -> int:
    """Return the end of a UTC day, from which its counts age, in microseconds since 1970."""
    return (day.toordinal() - _EPOCH_ORDINAL + 1) * DAY_US


def decay_factor(age_us: int, half_life_days: int | None) -> int:
    """Return 2^-(age / half-life) times SCALE; SCALE itself for ages up to 0 and without a half-life."""
    if age_us <= 0 or half_life_days is None:
        return SCALE
    lives = (age_us << _FRACTION_BITS) // (half_life_days * DAY_US)
    whole, fraction = lives >> _FRACTION_BITS, lives & ((1 << _FRACTION_BITS) - 1)
    step, rest = fraction >> _REST_BITS, fraction & ((1 << _REST_BITS) - 1)
    upper, lower = _TABLE[step], _TABLE[step + 1]
    return (upper - ((upper - lower) * rest >> _REST_BITS)) >> whole


class Fading:
    """Decay factors at one instant (microseconds since 1970): those that many counts share are read once."""

    __slots__ = ("_known", "at_us")

    def __init__(self, at_us: int) -> None:
        self.at_us = at_us
        self._known: dict[tuple[int, int], int] = {}

    def factor(self, end_us: int, half_life_days: int | None) -> int:
        """Return the factor of what has aged since `end_us`."""
        if half_life_days is None:
            return SCALE
        factor = self._known.get((end_us, half_life_days))
        if factor is None:
            factor = decay_factor(self.at_us - end_us, half_life_days)
            self._known[end_us, half_life_days] = factor
        return factor


def rounded(scaled: int) -> int:
    """Return milli-points times SCALE in whole milli-points, halves away from zero: the one rounding rule."""
    half = SCALE >> 1
    return (scaled + half) >> SCALE_BITS if scaled >= 0 else -((-scaled + half) >> SCALE_BITS)
