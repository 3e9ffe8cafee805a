"""Business time: which instants are open by a calendar's local wall clock, and arithmetic over them.

Open sets are computed on stretches of constant UTC offset, so gaps and folds need no special case.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

DAY_SECONDS = 86_400
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

Span = tuple[datetime, datetime]
"""Half-open [start, end) between two aware instants."""


class NeverOpen(ValueError):
    """A calendar without a single open interval was refused."""


class BeyondHorizon(ValueError):
    """A deadline lies further away than `HORIZON_DAYS`; the target or the calendar is wrong."""


@dataclass(frozen=True, slots=True, order=True)
class Interval:
    """Opening hours in seconds after local midnight of the date it starts on; `end` > 86400 runs past midnight."""

    start: int
    end: int

    def __post_init__(self) -> None:
        if not (0 <= self.start < DAY_SECONDS and self.start < self.end <= self.start + DAY_SECONDS):
            raise ValueError(f"interval {self.start}..{self.end} s is not within one turn of the clock")


@dataclass(frozen=True, slots=True)
class Calendar:
    """One version of opening hours. `weekly` holds seven tuples, Monday first; `holidays` are local dates.

    A holiday closes the intervals that start on it. Raises NeverOpen without any interval.
    """

    id: str
    version: str
    timezone: str
    weekly: tuple[tuple[Interval, ...], ...]
    holidays: frozenset[date] = field(default_factory=frozenset)
    tzdata_version: str = ""

    def __post_init__(self) -> None:
        if len(self.weekly) != len(WEEKDAYS):
            raise ValueError(f"calendar {self.id!r} needs seven weekdays, got {len(self.weekly)}")
        if not any(self.weekly):
            raise NeverOpen(f"calendar {self.id!r} is never open")


def is_open(calendar: Calendar, at: datetime) -> bool:
    """Tell whether the instant `at` (aware) is open."""
    raise NotImplementedError


def open_intervals(calendar: Calendar, start: datetime, end: datetime) -> Iterator[Span]:
    """Yield the open spans within [start, end) in order, disjoint and not touching, in UTC."""
    raise NotImplementedError


def add_business(
    calendar: Calendar, start: datetime, seconds: float, pauses: Sequence[Span] = ()
) -> datetime:
    """Return the first instant (UTC) by which `seconds` of open, unpaused time have passed since `start`.

    Pauses may overlap and come in any order: an instant counts as paused once. Zero seconds is `start` itself.
    Raises BeyondHorizon.
    """
    raise NotImplementedError


def business_between(
    calendar: Calendar, start: datetime, end: datetime, pauses: Sequence[Span] = ()
) -> float:
    """Return the open, unpaused seconds within [start, end); 0 when `end` is not after `start`."""
    raise NotImplementedError


def next_open(calendar: Calendar, now: datetime) -> datetime:
    """Return `now` if open, else the next opening instant (UTC)."""
    raise NotImplementedError


def next_change(calendar: Calendar, now: datetime) -> datetime | None:
    """Return the first instant after `now` at which open turns closed or back; None if always open."""
    raise NotImplementedError
