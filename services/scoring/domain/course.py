"""A lead's engagement as a function of time alone: a ledger laid out for a search that asks many times."""

from collections import defaultdict
from typing import NamedTuple

from services.scoring.domain.decay import DAY_US, SCALE, decay_factor, rounded
from services.scoring.domain.engagement import Account, Ledger, Steps, hand_raise_ends, reached
from services.scoring.domain.model import Bands

SECOND_US = 1_000_000


class Moment(NamedTuple):
    """The engagement's parts in second `at`: sum of gains, sum of losses (at most 0), hand-raise."""

    at: int
    gains: int
    losses: int
    raised: bool


# An account's place, its bands' steps, and until when (microseconds) how much of what it did counts for them.
_Bonus = tuple[int, Steps, list[tuple[int, int]]]


def _bonus(place: int, account: Account, bands: Bands) -> _Bonus:
    window_us = bands.window_days * DAY_US
    counting = [(bucket.end_us + window_us, bucket.count) for bucket in account.buckets if bucket.counts]
    return place, bands.steps, counting


class Course:
    """What counts of a ledger, by what ages together; the same points as `engagement.worth_at`."""

    __slots__ = ("_bonuses", "_fading", "_raised_until", "_steady")

    def __init__(self, ledger: Ledger, hand_raise_days: int) -> None:
        self._steady = [0] * len(ledger.accounts)
        fading: defaultdict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
        self._bonuses: list[_Bonus] = []
        for place, account in enumerate(ledger.accounts):
            half_life = account.signal.half_life_days
            for bucket in account.buckets:
                if not (bucket.counts and bucket.kept):
                    continue
                if half_life is None:
                    self._steady[place] += bucket.kept * SCALE
                else:
                    fading[bucket.end_us, half_life].append((place, bucket.kept))
            if account.signal.bands is not None:
                self._bonuses.append(_bonus(place, account, account.signal.bands))
        self._fading = [(end_us, half_life, shares) for (end_us, half_life), shares in fading.items()]
        self._raised_until = max(hand_raise_ends(ledger), default=0) + hand_raise_days * DAY_US

    def at_second(self, second: int) -> Moment:
        """Return the moment at a whole second since 1970."""
        return self.at_us(second * SECOND_US)

    def at_us(self, at_us: int) -> Moment:
        """Return the moment at a microsecond since 1970."""
        sums = self._steady.copy()
        for end_us, half_life, shares in self._fading:
            factor = decay_factor(at_us - end_us, half_life)
            for place, kept in shares:
                sums[place] += kept * factor
        points = [rounded(scaled) for scaled in sums]
        for place, steps, expiries in self._bonuses:
            seen = 0
            for until_us, count in expiries:
                if at_us < until_us:
                    seen += count
            points[place] += reached(steps, seen)
        gains = losses = 0
        for each in points:
            if each > 0:
                gains += each
            else:
                losses += each
        return Moment(at_us // SECOND_US, gains, losses, at_us < self._raised_until)
