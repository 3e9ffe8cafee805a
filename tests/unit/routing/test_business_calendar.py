"""Business time against cases from outside, examples by hand, and an oracle that asks every minute."""

import time
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.routing.domain.business_calendar import (
    BeyondHorizon,
    Calendar,
    Interval,
    NeverOpen,
    Span,
    add_business,
    business_between,
    is_open,
    next_change,
    next_open,
    open_intervals,
)
from services.routing.usecases.check_deadlines import check_deadlines
from tests.support.data_folder import data_file
from tests.support.routing_calendars import (
    CLOCK_CHANGES,
    MINUTE,
    a_calendar,
    awkward_calendars,
    deadline_by_the_minute,
    open_minutes,
)

WINDOW = timedelta(days=4)
PAUSES = st.lists(st.tuples(st.integers(0, 4000), st.integers(1, 900)), max_size=3)


def at(text: str, zone: str = "UTC") -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))


def test_every_deadline_of_the_file_of_cases_is_met() -> None:
    lines = data_file("cases", "sla_deadlines.jsonl").read_text().splitlines()
    assert check_deadlines(lines) == (len(lines), [])
    assert len(lines) >= 240


@settings(max_examples=120, deadline=None)
@given(
    awkward_calendars(),
    st.integers(1, 1500),
    st.lists(st.tuples(st.integers(0, 4000), st.integers(1, 900)), max_size=3),
)
def test_a_deadline_is_what_counting_every_minute_gives(
    drawn: tuple[Calendar, datetime], minutes: int, drawn_pauses: list[tuple[int, int]]
) -> None:
    calendar, start = drawn
    pauses: list[Span] = [
        (start + begin * MINUTE, start + (begin + length) * MINUTE) for begin, length in drawn_pauses
    ]
    expected = deadline_by_the_minute(calendar, start, minutes, pauses, start + WINDOW)
    found = add_business(calendar, start, minutes * 60, pauses)
    if expected is None:
        assert found > start + WINDOW
    else:
        assert found == expected


@settings(max_examples=80, deadline=None)
@given(awkward_calendars())
def test_the_open_minutes_are_those_the_wall_clock_says(drawn: tuple[Calendar, datetime]) -> None:
    calendar, start = drawn
    end = start + timedelta(days=2)
    expected = open_minutes(calendar, start, end)
    spans = list(open_intervals(calendar, start, end))
    assert sum(((high - low) // MINUTE for low, high in spans)) == len(expected)
    assert all(any(low <= minute < high for low, high in spans) for minute in expected)
    assert all(first[1] < second[0] for first, second in pairwise(spans))
    assert business_between(calendar, start, end) == 60.0 * len(expected)
    inside = set(expected)
    for minute in (start + n * 7 * MINUTE for n in range(400)):
        if minute < end:
            assert is_open(calendar, minute) is (minute in inside)


@settings(max_examples=80, deadline=None)
@given(awkward_calendars())
def test_nothing_changes_before_the_next_change(drawn: tuple[Calendar, datetime]) -> None:
    calendar, start = drawn
    change = next_change(calendar, start)
    now_open = is_open(calendar, start)
    until = min(change or start + WINDOW, start + WINDOW)
    minutes = open_minutes(calendar, start, until)
    assert len(minutes) == ((until - start) // MINUTE if now_open else 0)
    if change is not None:
        assert is_open(calendar, change) is not now_open
    assert next_open(calendar, start) == (start if now_open else change)


@settings(max_examples=60, deadline=None)
@given(awkward_calendars(), st.integers(0, 100_000))
def test_time_until_the_deadline_is_the_time_asked_for(
    drawn: tuple[Calendar, datetime], seconds: int
) -> None:
    calendar, start = drawn
    assert business_between(calendar, start, add_business(calendar, start, seconds)) == seconds


@pytest.mark.parametrize(("zone", "change"), CLOCK_CHANGES)
def test_a_calendar_that_is_always_open_counts_real_time_over_any_clock_change(
    zone: str, change: date
) -> None:
    calendar = a_calendar("00:00-24:00", timezone=zone)
    start = datetime(change.year, change.month, change.day, tzinfo=UTC) - timedelta(days=1)
    assert add_business(calendar, start, 200_000) == start + timedelta(seconds=200_000)


EXAMPLES = {
    # The interval of 02:15 to 02:45 does not exist on the day the clocks go forward.
    "an interval inside a gap does not happen": (
        a_calendar("02:15-02:45", timezone="Europe/Berlin"), at("2026-03-29T00:00", "Europe/Berlin"), 60,
        at("2026-03-30T02:16", "Europe/Berlin"),
    ),
    # 02:15 to 02:45 happens twice when they go back: open for an hour in two parts.
    "an interval inside a fold happens twice": (
        a_calendar("02:15-02:45", timezone="Europe/Berlin"), at("2026-10-25T00:00", "Europe/Berlin"), 3600,
        datetime(2026, 10, 25, 1, 45, tzinfo=UTC),
    ),
    "a holiday closes the shift that starts on its eve's end, not the one running into it": (
        a_calendar("22:00-06:00", holidays=[date(2026, 5, 1)]), at("2026-04-30T22:00"), 8 * 3600 + 60,
        at("2026-05-02T22:01"),
    ),
    "an exhausted target ends with the interval, not at the next opening": (
        a_calendar("09:00-17:00"), at("2026-06-01T09:00"), 8 * 3600, at("2026-06-01T17:00"),
    ),
    "an evening start waits for the morning": (
        a_calendar("09:00-17:00", days="1111100"), at("2026-06-05T18:00"), 3600, at("2026-06-08T10:00"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_worked_out_by_hand(name: str) -> None:
    calendar, start, seconds, expected = EXAMPLES[name]
    assert add_business(calendar, start, seconds) == expected


def test_pauses_that_overlap_count_once_and_in_any_order() -> None:
    calendar, start = a_calendar("00:00-24:00"), at("2026-06-01T00:00")
    pauses = [
        (start + timedelta(hours=2), start + timedelta(hours=4)),
        (start + timedelta(hours=1), start + timedelta(hours=3)),
        (start + timedelta(hours=5), start + timedelta(hours=5)),
    ]
    assert add_business(calendar, start, 2 * 3600, pauses) == start + timedelta(hours=5)


def test_no_time_at_all_is_due_at_once_even_when_closed() -> None:
    start = at("2026-06-06T12:00")
    assert add_business(a_calendar("09:00-17:00", days="1111100"), start, 0) == start


def test_a_calendar_that_is_never_open_is_refused() -> None:
    with pytest.raises(NeverOpen):
        Calendar("closed", "1", "UTC", ((),) * 7)


@pytest.mark.parametrize(("start", "end"), [(-1, 60), (60, 60), (120, 60), (86_400, 86_460), (0, 86_401)])
def test_an_interval_that_is_none_is_refused(start: int, end: int) -> None:
    with pytest.raises(ValueError, match="not within one turn"):
        Interval(start, end)


def test_a_deadline_decades_away_is_refused_instead_of_searched_for() -> None:
    with pytest.raises(BeyondHorizon):
        add_business(a_calendar("09:00-09:01", days="1000000"), at("2026-01-01T00:00"), 10_000_000)


def test_an_always_open_calendar_never_changes_and_a_holiday_ahead_makes_it() -> None:
    now = at("2026-06-01T12:00")
    assert next_change(a_calendar("00:00-24:00"), now) is None
    eventually = a_calendar("00:00-24:00", holidays=[date(2026, 12, 25)])
    assert next_change(eventually, now) == at("2026-12-25T00:00")


def test_a_deadline_half_a_year_away_takes_milliseconds() -> None:
    calendar = a_calendar("09:00-12:00", "13:00-17:00", timezone="America/New_York", days="1111100")
    add_business(calendar, at("2026-01-05T00:00"), 60)
    began = time.process_time()
    for _ in range(20):
        add_business(calendar, at("2026-01-05T00:00"), 800 * 3600)
    assert time.process_time() - began < 1.0
