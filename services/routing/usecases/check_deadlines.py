"""Compute the deadline of every case in JSON Lines and tell where we differ: `leadline sla check FILE`.

A case: calendar (timezone, weekly, holidays), start, business_seconds, pauses as [start, end], deadline.
"""

import json
from collections.abc import Iterable
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from services.routing.domain.business_calendar import (
    DAY_SECONDS,
    WEEKDAYS,
    BeyondHorizon,
    Calendar,
    Interval,
    Span,
    add_business,
)


class MalformedCase(ValueError):
    """A line is not a case; the message says what is wrong with it."""


def check_deadlines(lines: Iterable[str]) -> tuple[int, list[str]]:
    """Return how many cases were checked, and a sentence for each that differs or cannot be read.

    Blank lines do not count. A line that is no case is reported with its number and counts as checked.
    """
    checked = 0
    mismatches: list[str] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        checked += 1
        try:
            mismatch = _check(_parsed(line))
        except MalformedCase as malformed:
            mismatch = f"not a case: {malformed}"
        if mismatch:
            mismatches.append(f"line {number}: {mismatch}")
    return checked, mismatches


def _parsed(line: str) -> dict[str, Any]:
    try:
        case = json.loads(line)
    except (ValueError, RecursionError) as bad:
        raise MalformedCase("it is not JSON") from bad
    if not isinstance(case, dict):
        raise MalformedCase("it is not a JSON object")
    return case


def _check(case: dict[str, Any]) -> str | None:
    expected = _instant(case, "deadline")
    start, seconds = _instant(case, "start"), _field(case, "business_seconds")
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds < 1e10:
        raise MalformedCase("business_seconds is not a number of seconds")
    calendar, pauses = _calendar(_field(case, "calendar")), _pauses(case.get("pauses", []))
    try:
        found = add_business(calendar, start, seconds, pauses)
    except (BeyondHorizon, OverflowError) as never:
        return f"{case.get('id', 'case')}: expected {expected.isoformat()}, found none: {never}"
    if found == expected:
        return None
    name = case.get("id", "case")
    return f"{name}: expected {expected.isoformat()}, found {found.astimezone(expected.tzinfo).isoformat()}"


def _field(case: dict[str, Any], name: str) -> Any:
    if name not in case:
        raise MalformedCase(f"{name} is missing")
    return case[name]


def _instant(case: dict[str, Any], name: str) -> datetime:
    return _aware(_field(case, name), name)


def _aware(value: Any, name: str) -> datetime:
    try:
        at = datetime.fromisoformat(value)
    except (TypeError, ValueError) as bad:
        raise MalformedCase(f"{name} is not an ISO 8601 instant") from bad
    if at.tzinfo is None:
        raise MalformedCase(f"{name} has no UTC offset")
    return at


def _pauses(value: Any) -> list[Span]:
    if not isinstance(value, list) or any(not isinstance(p, list) or len(p) != 2 for p in value):
        raise MalformedCase("pauses is not a list of [start, end]")
    return [(_aware(low, "a pause"), _aware(high, "a pause")) for low, high in value]


def _calendar(value: Any) -> Calendar:
    if not isinstance(value, dict) or not isinstance(value.get("weekly"), dict):
        raise MalformedCase("calendar has no weekly hours")
    weekly = value["weekly"]
    unknown = sorted(set(weekly) - set(WEEKDAYS))
    if unknown:
        raise MalformedCase(f"{unknown[0]!r} is no weekday; use {', '.join(WEEKDAYS)}")
    zone = str(value.get("timezone"))
    try:
        ZoneInfo(zone)
    except (ValueError, OSError, ZoneInfoNotFoundError) as bad:
        raise MalformedCase(f"there is no time zone {zone!r}") from bad
    try:
        holidays = frozenset(date.fromisoformat(day) for day in value.get("holidays", []))
        hours = tuple(tuple(_interval(item) for item in weekly.get(day, [])) for day in WEEKDAYS)
        return Calendar("case", "1", zone, hours, holidays)
    except (TypeError, ValueError) as bad:
        raise MalformedCase(f"the calendar cannot be read: {bad}") from bad


def _interval(value: Any) -> Interval:
    low, high = (_seconds(clock) for clock in value)
    return Interval(low, high if high > low else high + DAY_SECONDS)


def _seconds(clock: str) -> int:
    parts = [int(part) for part in clock.split(":")]
    hours, minutes, seconds = (*parts, 0)[:3] if len(parts) == 2 else parts
    if not (0 <= hours <= 24 and 0 <= minutes < 60 and 0 <= seconds < 60):
        raise ValueError(f"{clock!r} is no time of day")
    total = hours * 3_600 + minutes * 60 + seconds
    if total > DAY_SECONDS:
        raise ValueError(f"{clock!r} is no time of day")
    return total
