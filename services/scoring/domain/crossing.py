"""The next instant at which time alone changes what routing is told about a lead.

Without new activity neither the gains of signals nor the losses of negative ones ever grow; so the two ends
of a span bound the engagement within it, and spans that cannot hold a change are skipped whole.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from services.scoring.domain.compile import CompiledModel
from services.scoring.domain.course import SECOND_US, Course, Moment
from services.scoring.domain.decay import instant_at, instant_us
from services.scoring.domain.level import Standing, standing
from services.scoring.domain.model import SCORE_MAX, Model
from services.scoring.domain.score import Basis, basis_of
from services.scoring.domain.signals import DayCount
from services.scoring.domain.snapshot import MOVED

HORIZON = timedelta(days=400)
_FAR = 1 << 62  # milli-points, beyond all sums


class _Place(NamedTuple):
    """Where the same is told: with this hand-raise, at engagements from `low` up to below `high`."""

    raised: bool
    low: int
    high: int

    def holds(self, moment: Moment) -> bool:
        """Tell whether a moment lies here."""
        return moment.raised == self.raised and self.low <= moment.gains + moment.losses < self.high

    def covers(self, start: Moment, end: Moment) -> bool:
        """Tell whether all of a span surely lies here: gains and losses only shrink within it."""
        return (
            start.raised == end.raised == self.raised
            and self.low <= end.gains + start.losses
            and start.gains + end.losses < self.high
        )


class _Search:
    """A lead's standing as a function of time.

    What is told changes at a few values of the engagement only (`_changes`), between two of them nothing.
    """

    def __init__(self, basis: Basis, published: int | None) -> None:
        self._basis = basis
        self._published = published
        self.course = Course(basis.ledger, basis.rules.level.hand_raise_days)

    def place(self, moment: Moment) -> _Place:
        """Return the place in which a moment lies."""
        engagement = moment.gains + moment.losses
        edges = self._changes(raised=moment.raised)
        above = bisect_right(edges, engagement)
        low = edges[above - 1] if above else -_FAR
        return _Place(moment.raised, low, edges[above] if above < len(edges) else _FAR)

    def _changes(self, *, raised: bool) -> list[int]:
        """Return the engagements from which on something else is told than below, ascending."""
        rules, level = self._basis.rules, self._basis.rules.level
        bands = rules.engagement_bands
        edges = {bands.first, bands.second, bands.third}
        if self._published is not None:
            edges |= {self._published - MOVED + 1, self._published + MOVED}
        doubtful = {rules.required.engagement}
        if level.by == "threshold" and level.engagement_weight:
            for bound in (level.upper, level.lower):
                gap = self._basis.fit.points * level.fit_weight - bound * 100
                doubtful.add(-(gap // level.engagement_weight))
        edges.update(
            edge
            for edge in doubtful - edges
            if 0 < edge <= SCORE_MAX
            and self._standing(edge, raised=raised) != self._standing(edge - 1, raised=raised)
        )
        return sorted(edge for edge in edges if 0 < edge <= SCORE_MAX)

    def _standing(self, engagement: int, *, raised: bool) -> Standing:
        return standing(
            self._basis.rules,
            fit=self._basis.fit.points,
            engagement=engagement,
            hand_raise=raised,
            known=self._basis.facts,
            disqualified=self._basis.fit.disqualified,
        )

    def first_change(self, start: Moment, end: Moment, place: _Place) -> Moment | None:
        """Return the first moment in (start, end] that lies elsewhere than `place`, where `start` lies."""
        spans = [(start, end)]
        while spans:
            start, end = spans.pop()
            if place.covers(start, end):
                continue
            if end.at - start.at == 1:
                if not place.holds(end):
                    return end
                continue
            middle = self.course.at_second((start.at + end.at) // 2)
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
    basis = basis_of(counts, traits, model, as_of=after, cut=cut)
    return crossing_of(basis, after, published_engagement=published_engagement, horizon=horizon)


def crossing_of(
    basis: Basis, after: datetime, *, published_engagement: int | None, horizon: timedelta = HORIZON
) -> datetime | None:
    """Return `next_crossing` of the lead whose basis this is, made at `after`."""
    search = _Search(basis, published_engagement)
    course = search.course
    second = instant_us(after) // SECOND_US
    place = search.place(course.at_us(instant_us(after)))
    first = course.at_second(second + 1)
    if not place.holds(first):
        return instant_at(first.at * SECOND_US)
    last = course.at_second(second + 1 + int(horizon.total_seconds()))
    found = search.first_change(first, last, place)
    return instant_at(found.at * SECOND_US) if found else None
