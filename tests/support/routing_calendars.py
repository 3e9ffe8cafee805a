"""Calendars for tests, strategies for awkward ones, and an oracle of business time that asks every minute."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from services.routing.domain.business_calendar import Calendar, Interval, Span

MINUTE = timedelta(minutes=1)

# A zone and the UTC date around which its clocks change.
CLOCK_CHANGES = (
    ("Europe/Berlin", date(2026, 3, 29)),
    ("Europe/Berlin", date(2026, 10, 25)),
    ("America/New_York", date(2026, 3, 8)),
    ("America/New_York", date(2026, 11, 1)),
    ("America/Sao_Paulo", date(2018, 11, 4)),  # midnight did not exist
    ("America/Sao_Paulo", date(2019, 2, 17)),  # 23:00 to midnight came twice
    ("Asia/Beirut", date(2024, 3, 31)),  # midnight did not exist
    ("Asia/Beirut", date(2024, 10, 27)),  # back at midnight
    ("Africa/Cairo", date(2024, 4, 26)),  # midnight did not exist
    ("Africa/Cairo", date(2024, 11, 1)),  # back at midnight
    ("Australia/Lord_Howe", date(2026, 4, 5)),  # half an hour back
    ("Australia/Lord_Howe", date(2026, 10, 4)),  # half an hour on
    ("America/Havana", date(2026, 3, 8)),  # midnight did not exist
    ("Pacific/Apia", date(2011, 12, 30)),  # a whole day did not exist
    ("Africa/Casablanca", date(2026, 2, 15)),  # back for Ramadan
    ("Asia/Kathmandu", date(2026, 3, 1)),  # no change, three quarters of an hour
    ("UTC", date(2026, 12, 31)),  # over new year
)


def hours(*spans: str) -> tuple[Interval, ...]:
    """Return the intervals of `09:00-17:00`; an end at or before the start is on the next day."""
    return tuple(_interval(span) for span in spans)


def _interval(span: str) -> Interval:
    start, end = (int(t[:2]) * 3600 + int(t[3:]) * 60 for t in span.split("-"))
    return Interval(start, end if end > start else end + 86_400)


def a_calendar(
    *daily: str, timezone: str = "UTC", days: str = "1111111", holidays: Sequence[date] = ()
) -> Calendar:
    """Return a calendar with the same hours on each weekday marked 1 (Monday first)."""
    weekly = tuple(hours(*daily) if day == "1" else () for day in days)
    return Calendar("test", "test@1", timezone, weekly, frozenset(holidays))


def open_minutes(calendar: Calendar, start: datetime, end: datetime) -> list[datetime]:
    """Return every whole minute of [start, end) that is open, asking the wall clock of each one."""
    zone, found = ZoneInfo(calendar.timezone), []
    at = start
    while at < end:
        local = at.astimezone(zone)
        today, second = local.date(), local.hour * 3600 + local.minute * 60 + local.second
        yesterday = today - timedelta(days=1)
        late = any(i.start <= second < i.end for i in calendar.weekly[today.weekday()])
        early = any(second + 86_400 < i.end for i in calendar.weekly[yesterday.weekday()])
        if (late and today not in calendar.holidays) or (early and yesterday not in calendar.holidays):
            found.append(at)
        at += MINUTE
    return found


def deadline_by_the_minute(
    calendar: Calendar, start: datetime, minutes: int, pauses: Sequence[Span], end: datetime
) -> datetime | None:
    """Return the deadline found by counting minutes, or None if it does not come before `end`."""
    left = minutes
    for at in open_minutes(calendar, start, end):
        if not any(low <= at < high for low, high in pauses):
            left -= 1
            if left == 0:
                return at + MINUTE
    return None


_quarters = st.integers(0, 95).map(lambda quarter: quarter * 900)


@st.composite
def awkward_calendars(draw: st.DrawFn) -> tuple[Calendar, datetime]:
    """Draw a calendar whose zone changes its clocks within a day of the instant drawn with it."""
    timezone, change = draw(st.sampled_from(CLOCK_CHANGES))
    weekly = []
    for _ in range(7):
        day = []
        for _ in range(draw(st.integers(0, 2))):
            start = draw(_quarters | st.integers(0, 1439).map(lambda minute: minute * 60))
            length = draw(st.integers(1, 96).map(lambda quarter: quarter * 900))
            day.append(Interval(start, start + length))
        weekly.append(tuple(day))
    if not any(weekly):
        weekly[draw(st.integers(0, 6))] = (Interval(22 * 3600, 30 * 3600),)
    holidays = {change + timedelta(days=d) for d in draw(st.sets(st.integers(-2, 2), max_size=2))}
    midnight = datetime(change.year, change.month, change.day, tzinfo=UTC)
    at = midnight + draw(st.integers(-36 * 60, 30 * 60)) * MINUTE
    return Calendar("drawn", "drawn@1", timezone, tuple(weekly), frozenset(holidays)), at
