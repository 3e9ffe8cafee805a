"""The next instant at which time alone changes what routing is told about a lead.

Without new activity neither the gains of signals nor the losses of negative ones ever grow; so the two ends
of a span bound the engagement within it, and spans that cannot hold a change are skipped whole.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from services.scoring.domain.compile import CompiledModel
from services.scoring.domain.conditions import normalised
from services.scoring.domain.decay import instant_at, instant_us
from services.scoring.domain.engagement import Ledger, hand_raised, open_ledger, worth_at
from services.scoring.domain.level import Standing, standing
from services.scoring.domain.model import SCORE_MAX, Model
from services.scoring.domain.score import fit_score
from services.scoring.domain.signals import DayCount
from services.scoring.domain.snapshot import MOVED

HORIZON = timedelta(days=400)
_SECOND_US = 1_000_000


@dataclass(frozen=True, slots=True)
class _Moment:
    """The engagement's parts at one instant: sum of gains, sum of losses (at most 0), hand-raise."""

    at: int
    gains: int
    losses: int
    raised: bool


class _Course:
    """A lead's standing as a function of time."""

    def __init__(
        self, ledger: Ledger, facts: Mapping[str, Any], model: Model | CompiledModel, published: int | None
    ) -> None:
        self._rules = model.model if isinstance(model, CompiledModel) else model
        self._ledger = ledger
        self._known = facts.keys()
        self._fit = fit_score(model, facts)
        self._published = published

    def moment(self, second: int) -> _Moment:
        return self.moment_us(second * _SECOND_US)

    def moment_us(self, at_us: int) -> _Moment:
        worths = [worth_at(account, at_us).points for account in self._ledger.accounts]
        raised, _ = hand_raised(self._ledger, at_us, self._rules.level.hand_raise_days)
        gains = sum(points for points in worths if points > 0)
        return _Moment(at_us // _SECOND_US, gains, sum(worths) - gains, raised)

    def told(self, engagement: int, *, raised: bool) -> tuple[Standing, bool, bool]:
        clamped = max(0, min(SCORE_MAX, engagement))
        found = standing(
            self._rules,
            fit=self._fit.points,
            engagement=clamped,
            hand_raise=raised,
            known=self._known,
            disqualified=self._fit.disqualified,
        )
        return found, raised, self._published is not None and abs(clamped - self._published) >= MOVED

    def now(self, moment: _Moment) -> tuple[Standing, bool, bool]:
        return self.told(moment.gains + moment.losses, raised=moment.raised)

    def may_change(self, start: _Moment, end: _Moment, told: tuple[Standing, bool, bool]) -> bool:
        """Tell whether anything but `told` can hold in the span: all of it is monotone in the engagement."""
        lowest = self.told(end.gains + start.losses, raised=end.raised)
        highest = self.told(start.gains + end.losses, raised=end.raised)
        return start.raised != end.raised or lowest != told or highest != told

    def first_change(self, start: _Moment, end: _Moment, told: tuple[Standing, bool, bool]) -> _Moment | None:
        """Return the first moment in (start, end] that differs from `told`, which holds at `start`."""
        spans = [(start, end)]
        while spans:
            start, end = spans.pop()
            if not self.may_change(start, end, told):
                continue
            if end.at - start.at == 1:
                if self.now(end) != told:
                    return end
                continue
            middle = self.moment((start.at + end.at) // 2)
            spans.append((middle, end))
            spans.append((start, middle))
        return None


def next_crossing(
    counts: Iterable[DayCount],
    traits: Mapping[str, Any],
    model: Model | CompiledModel,
    *,
    after: datetime,
    cut: datetime | None = None,
    published_engagement: int | None = None,
    horizon: timedelta = HORIZON,
) -> datetime | None:
    """Return the first whole second after `after` at which, without new activity, grade, enters, holds,
    hand-raise or needs-data differ from those at `after`, or the engagement is 5 points from
    `published_engagement` and was not before.

    None where nothing changes within `horizon`. Arguments as of `score.score`, counts known at `after`.
    """
    rules = model.model if isinstance(model, CompiledModel) else model
    ledger = open_ledger(counts, rules, as_of=after, cut=cut)
    course = _Course(ledger, normalised(traits), model, published_engagement)
    second = instant_us(after) // _SECOND_US
    told = course.now(course.moment_us(instant_us(after)))
    first = course.moment(second + 1)
    if course.now(first) != told:
        return instant_at(first.at * _SECOND_US)
    last = course.moment(second + 1 + int(horizon.total_seconds()))
    found = course.first_change(first, last, told)
    return instant_at(found.at * _SECOND_US) if found else None
