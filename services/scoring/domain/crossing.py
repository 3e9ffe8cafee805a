"""The next instant at which time alone changes what routing is told about a lead."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from services.scoring.domain.model import Model
from services.scoring.domain.signals import DayCount

HORIZON = timedelta(days=400)


def next_crossing(
    counts: Iterable[DayCount],
    traits: Mapping[str, Any],
    model: Model,
    *,
    after: datetime,
    cut: datetime | None = None,
    published_engagement: int | None = None,
    horizon: timedelta = HORIZON,
) -> datetime | None:
    """Return the first whole second after `after` at which, without new activity, grade, enters, holds, hand-raise
    or needs-data differ from those at `after`, or the engagement is 5 points from `published_engagement`.

    None where nothing changes within `horizon`. Arguments as of `score.score`, counts known at `after`.
    """
    raise AssertionError("body follows")
