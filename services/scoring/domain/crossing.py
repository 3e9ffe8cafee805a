"""The next instant at which time alone changes what routing is told about a lead.

Without new activity neither the gains of signals nor the losses of negative ones ever grow; so the two ends
of a span bound the engagement within it, and spans that cannot hold a change are skipped whole.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from services.scoring.domain.compile import CompiledModel
from services.scoring.domain.conditions import normalised
from services.scoring.domain.decay import Fading, instant_at, instant_us
from services.scoring.domain.engagement import Ledger, hand_raised, open_ledger, points_at
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
    """A lead's standing as a function of time.

    What is told changes at a few values of the engagement only (`_edges`); between two of them nothing does.
    """

    def __init__(
        self, ledger: Ledger, facts: Mapping[str, Any], model: Model | CompiledModel, published: int | None
    ) -> None:
        self._rules = model.model if isinstance(model, CompiledModel) else model
        self._ledger = ledger
        self._known = facts.keys()
        self._fit = fit_score(model, facts)
        self._published = published
        self._edges = {raised: self._changes(raised=raised) for raised in (False, True)}

    def moment(self, second: int) -> _Moment:
        return self.moment_us(second * _SECOND_US)

    def moment_us(self, at_us: int) -> _Moment:
        fading = Fading(at_us)
        points = [points_at(account, fading) for account in self._ledger.accounts]
        raised, _ = hand_raised(self._ledger, at_us, self._rules.level.hand_raise_days)
        gains = sum(gain for gain in points if gain > 0)
        return _Moment(at_us // _SECOND_US, gains, sum(points) - gains, raised)

    def place(self, engagement: int, *, raised: bool) -> tuple[bool, int]:
        """Return where an engagement lies between the edges; the same place tells the same."""
        return raised, bisect_right(self._edges[raised], engagement)

    def now(self, moment: _Moment) -> tuple[bool, int]:
        return self.place(moment.gains + moment.losses, raised=moment.raised)

    def _changes(self, *, raised: bool) -> list[int]:
        """Return the engagements from which on something else is told than below, ascending."""
        rules, level = self._rules, self._rules.level
        bands = rules.engagement_bands
        edges = {bands.first, bands.second, bands.third, rules.required.engagement}
        if level.by == "threshold" and level.engagement_weight:
            for bound in (level.upper, level.lower):
                edges.add(-((self._fit.points * level.fit_weight - bound * 100) // level.engagement_weight))
        if self._published is not None:
            edges |= {self._published - MOVED + 1, self._published + MOVED}
        return sorted(
            edge
            for edge in edges
            if 0 < edge <= SCORE_MAX
            and self._told(edge, raised=raised) != self._told(edge - 1, raised=raised)
        )

    def _told(self, engagement: int, *, raised: bool) -> tuple[Standing, bool]:
        found = standing(
            self._rules,
            fit=self._fit.points,
            engagement=engagement,
            hand_raise=raised,
            known=self._known,
            disqualified=self._fit.disqualified,
        )
        return found, self._published is not None and abs(engagement - self._published) >= MOVED

    def may_change(self, start: _Moment, end: _Moment, place: tuple[bool, int]) -> bool:
        """Tell whether the span may hold another place: gains and losses only shrink within it."""
        lowest = self.place(end.gains + start.losses, raised=end.raised)
        highest = self.place(start.gains + end.losses, raised=start.raised)
        return lowest != place or highest != place

    def first_change(self, start: _Moment, end: _Moment, place: tuple[bool, int]) -> _Moment | None:
        """Return the first moment in (start, end] that lies elsewhere than `place`, where `start` lies."""
        spans = [(start, end)]
        while spans:
            start, end = spans.pop()
            if not self.may_change(start, end, place):
                continue
            if end.at - start.at == 1:
                if self.now(end) != place:
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
    place = course.now(course.moment_us(instant_us(after)))
    first = course.moment(second + 1)
    if course.now(first) != place:
        return instant_at(first.at * _SECOND_US)
    last = course.moment(second + 1 + int(horizon.total_seconds()))
    found = course.first_change(first, last, place)
    return instant_at(found.at * _SECOND_US) if found else None
