"""Business time: which instants are open by a calendar's local wall clock, and arithmetic over them.

Open sets are computed on stretches of constant UTC offset, so gaps and folds need no special case.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from services.routing.domain.time_zones import stretches

DAY_SECONDS = 86_400
HORIZON_DAYS = 3_660  # ten years: no SLA target is longer, so a later deadline is a mistake
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

Span = tuple[datetime, datetime]
"""Half-open [start, end) between two aware instants."""


class NeverOpen(ValueError):
    """A calendar without a single open interval was refused."""


class BeyondHorizon(ValueError):
    """A deadline lies further away than `HORIZON_DAYS`; the target or the calendar is wrong."""


@dataclass(frozen=True, slots=True, order=True)
class Interval:
    """Opening hours in seconds after local midnight of the date they start on; 86400.. is the next day."""

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

    def __hash__(self) -> int:
        # Calendars are keys of caches on hot paths; hashing all their dates each time would cost more.
        return hash((self.id, self.version))


def _openings(calendar: Calendar, day: date) -> Iterator[tuple[datetime, datetime]]:
    """Yield the naive local spans of the intervals that start on `day`, ascending."""
    if day in calendar.holidays:
        return
    midnight = datetime.combine(day, time())
    for interval in sorted(calendar.weekly[day.weekday()]):
        yield midnight + timedelta(seconds=interval.start), midnight + timedelta(seconds=interval.end)


@lru_cache(maxsize=1024)  # a batch asks it of each member for each lead, at one instant
def is_open(calendar: Calendar, at: datetime) -> bool:
    """Tell whether the instant `at` (aware) is open."""
    local = at.astimezone(ZoneInfo(calendar.timezone)).replace(tzinfo=None)
    days = (local.date() - timedelta(days=1), local.date())
    return any(low <= local < high for day in days for low, high in _openings(calendar, day))


def _raw_spans(calendar: Calendar, start: datetime, end: datetime) -> Iterator[Span]:
    """Yield open spans ascending by start; they may touch or overlap."""
    for low, high, offset in stretches(calendar.timezone, start, end):
        local_low, local_high = (low + offset).replace(tzinfo=None), (high + offset).replace(tzinfo=None)
        day = local_low.date() - timedelta(days=1)
        while day <= local_high.date():
            for opens, closes in _openings(calendar, day):
                opens, closes = max(opens, local_low), min(closes, local_high)
                if opens < closes:
                    yield (opens - offset).replace(tzinfo=UTC), (closes - offset).replace(tzinfo=UTC)
            day += timedelta(days=1)


def _disjoint(spans: Iterable[Span]) -> Iterator[Span]:
    """Yield the spans without what an earlier one covers; unlike `_joined` it never looks ahead."""
    reached: datetime | None = None
    for low, high in spans:
        if reached is not None:
            low = max(low, reached)
        if low < high:
            yield low, high
            reached = high


def _joined(spans: Iterable[Span]) -> Iterator[Span]:
    """Join spans that touch or overlap; they come ascending by start."""
    current: Span | None = None
    for span in spans:
        if current is None:
            current = span
        elif span[0] <= current[1]:
            current = current[0], max(current[1], span[1])
        else:
            yield current
            current = span
    if current is not None:
        yield current


def open_intervals(calendar: Calendar, start: datetime, end: datetime) -> Iterator[Span]:
    """Yield the open spans within [start, end) in order, disjoint and not touching, in UTC."""
    if start < end:
        yield from _joined(_raw_spans(calendar, start, end))


def _unpaused(spans: Iterable[Span], pauses: Sequence[Span]) -> Iterator[Span]:
    """Yield what the pauses leave of the spans, ascending."""
    joined = list(_joined(sorted(p for p in pauses if p[0] < p[1])))
    first = 0
    for low, high in spans:
        while first < len(joined) and joined[first][1] <= low:
            first += 1
        for begins, ends in joined[first:]:
            if begins >= high:
                break
            if begins > low:
                yield low, begins
            low = max(low, ends)
        if low < high:
            yield low, high


def add_business(
    calendar: Calendar, start: datetime, seconds: float, pauses: Sequence[Span] = ()
) -> datetime:
    """Return the first instant (UTC) by which `seconds` of open, unpaused time have passed since `start`.

    Pauses may overlap and come in any order: an instant is paused once. Zero seconds is `start` itself.
    Raises BeyondHorizon.
    """
    left = timedelta(seconds=seconds)
    if left <= timedelta():
        return start.astimezone(UTC)
    end = start + timedelta(days=HORIZON_DAYS)
    for low, high in _unpaused(_disjoint(_raw_spans(calendar, start, end)), pauses):
        if high - low >= left:
            return low + left
        left -= high - low
    raise BeyondHorizon(f"{seconds:.0f} s on calendar {calendar.id!r} end after {HORIZON_DAYS} days")


@lru_cache(maxsize=256)  # clocks that a batch starts share their instant; each is asked several times
def deadline(calendar: Calendar, start: datetime, seconds: int, pauses: tuple[Span, ...]) -> datetime:
    """Return what `add_business` does, remembered for a while."""
    return add_business(calendar, start, seconds, pauses)


def business_between(
    calendar: Calendar, start: datetime, end: datetime, pauses: Sequence[Span] = ()
) -> float:
    """Return the open, unpaused seconds within [start, end); 0 when `end` is not after `start`."""
    if end <= start:
        return 0.0
    spans = _unpaused(_disjoint(_raw_spans(calendar, start, end)), pauses)
    return sum((high - low for low, high in spans), timedelta()).total_seconds()


def next_open(calendar: Calendar, now: datetime) -> datetime:
    """Return `now` if open, else the next opening instant (UTC); raises BeyondHorizon."""
    for low, _ in _raw_spans(calendar, now, now + timedelta(days=HORIZON_DAYS)):
        return low
    raise BeyondHorizon(f"calendar {calendar.id!r} stays closed for {HORIZON_DAYS} days")


def next_change(calendar: Calendar, now: datetime) -> datetime | None:
    """Return the first instant after `now` at which open turns closed or back; None if none within years."""
    if _is_always_open(calendar, now):
        return None
    end = now + timedelta(days=HORIZON_DAYS)
    for low, high in open_intervals(calendar, now, end):
        if low > now:
            return low
        return high if high < end else None
    return None


def _is_always_open(calendar: Calendar, now: datetime) -> bool:
    whole_days = all((Interval(0, DAY_SECONDS),) == tuple(day) for day in calendar.weekly)
    return whole_days and all(day < now.date() - timedelta(days=2) for day in calendar.holidays)
