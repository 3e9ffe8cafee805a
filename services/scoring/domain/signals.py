"""From activities to signals: what each counts for, and the counts per signal and UTC day that a score reads."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime

from services.scoring.domain.activity import Activity
from services.scoring.domain.model import Model, Signal


@dataclass(frozen=True, slots=True)
class DayCount:
    """How often one signal was seen on one UTC day; a lead's rows are those of all its identities, in any order.

    `left_out`: these occurred at or before the cut (needed on the cut's own day only; earlier days are left out
    by their date). `last_at`: the latest occurred_at among them (read for hand-raise signals).
    """

    signal: str
    day: date
    count: int
    left_out: bool = False
    last_at: datetime | None = None


def utc_day(instant: datetime) -> date:
    """Return the UTC day of an aware instant."""
    return instant.astimezone(UTC).date()


def matches(signal: Signal, activity: Activity) -> bool:
    """Interpret one signal's matcher: the oracle of the compiled one. An unknown `where` does not match."""
    raise AssertionError("body follows")


def signals_of(model: Model, activity: Activity) -> tuple[str, ...]:
    """Return the ids of the signals the activity counts for, in the model's order; `("bot",)` for a bot's."""
    raise AssertionError("body follows")


def partial_days(as_of: datetime, cut: datetime | None) -> frozenset[date]:
    """Return the UTC days whose cached counts are too coarse: that of `as_of` and that of the cut.

    For these days count the timeline itself with `count_activities` (or the same in SQL): occurred_at <= as_of,
    split at occurred_at <= cut (`left_out`). Where as_of is now, the day of as_of is whole already.
    """
    days = {utc_day(as_of)}
    if cut is not None:
        days.add(utc_day(cut))
    return frozenset(days)


def count_activities(
    model: Model, activities: Iterable[Activity], *, as_of: datetime, cut: datetime | None
) -> tuple[DayCount, ...]:
    """Count activities (one per event id) up to `as_of`, split at the cut: what the cache must agree with."""
    raise AssertionError("body follows")
