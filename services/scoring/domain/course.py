"""A lead's engagement as a function of time alone: a ledger laid out for a search that asks many times."""

from collections import defaultdict
from dataclasses import dataclass

from services.scoring.domain.decay import DAY_US, SCALE, decay_factor, rounded
from services.scoring.domain.engagement import Account, Ledger, bonus_of, hand_raise_ends

SECOND_US = 1_000_000


@dataclass(frozen=True, slots=True)
class Moment:
    """The engagement's parts in second `at`: sum of gains, sum of losses (at most 0), hand-raise."""

    at: int
    gains: int
    losses: int
    raised: bool


class Course:
    """What counts of a ledger, by what ages together; the same points as `engagement.worth_at`."""

    __slots__ = ("_bonuses", "_fading", "_raised_until", "_steady")

    def __init__(self, ledger: Ledger, hand_raise_days: int) -> None:
        self._steady = [0] * len(ledger.accounts)
        fading: defaultdict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
        self._bonuses: list[tuple[int, Account]] = []
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
                self._bonuses.append((place, account))
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
        for place, account in self._bonuses:
            points[place] += bonus_of(account, at_us)
        gains = losses = 0
        for each in points:
            if each > 0:
                gains += each
            else:
                losses += each
        return Moment(at_us // SECOND_US, gains, losses, at_us < self._raised_until)
