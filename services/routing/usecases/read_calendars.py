"""The `calendars` of a policy: zones, weekly opening hours, holidays resolved into dates."""

import re
from collections.abc import Callable
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from services.routing.domain.business_calendar import DAY_SECONDS, WEEKDAYS, Calendar, Interval
from services.routing.usecases.policy_reader import PolicyReader, nearest
from shared.config_file import Path

HolidayDates = Callable[[str, str | None], frozenset[date]]
"""(country, subdivision) -> dates; LookupError says what is unknown and what there is."""

_HOURS = re.compile(r"(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})")
_KEYS = ("timezone", "hours", "holidays")


def read_calendars(
    reader: PolicyReader, value: Any, version: str, holiday_dates: HolidayDates | None, tzdata_version: str
) -> dict[str, Calendar]:
    """Return the calendars by id; without `holiday_dates` only dates written out count as holidays."""
    found: dict[str, Calendar] = {}
    for name, path, entry in reader.entries(value, ("calendars",), _KEYS):
        zone = read_zone(reader, entry.get("timezone"), (*path, "timezone"))
        weekly = _weekly(reader, entry.get("hours"), (*path, "hours"))
        holidays = _holidays(reader, entry.get("holidays"), (*path, "holidays"), holiday_dates)
        if not any(weekly):
            reader.fault(path, f"calendar {name!r} is never open", 'add hours, say mon-fri: "09:00-17:00"')
            weekly = ((Interval(0, DAY_SECONDS),),) * 7
        found[name] = Calendar(name, f"{name}@{version}", zone, weekly, holidays, tzdata_version)
    return found


def read_zone(reader: PolicyReader, value: Any, path: Path, default: str | None = None) -> str:
    """Return a time zone of the tz database; UTC where it is wrong."""
    name = reader.text(value, path, default)
    try:
        ZoneInfo(name or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        reader.fault(path, f"there is no time zone {name!r}", nearest(name, available_timezones()))
        return "UTC"
    return name or "UTC"


def _weekly(reader: PolicyReader, value: Any, path: Path) -> tuple[tuple[Interval, ...], ...]:
    week: list[list[Interval]] = [[] for _ in WEEKDAYS]
    for key, hours in reader.mapping(value, path).items():
        days = _days(reader, key, (*path, key))
        for at, item in reader.items(hours, (*path, key)):
            interval = _interval(reader, item, at)
            if interval is None:
                continue
            for day in days:
                if any(interval.start < other.end and other.start < interval.end for other in week[day]):
                    reader.fault(at, f"{item!r} overlaps other hours of {WEEKDAYS[day]}", "join the two")
                week[day].append(interval)
    return tuple(tuple(sorted(day)) for day in week)


def _days(reader: PolicyReader, key: str, path: Path) -> list[int]:
    """Return weekday numbers of `mon`, `mon-fri` or `daily`."""
    if key == "daily":
        return list(range(7))
    ends = key.split("-")
    if not 1 <= len(ends) <= 2 or any(end not in WEEKDAYS for end in ends):
        reader.fault(path, f"{key!r} is no weekday", "write mon, tue, ..., a span such as mon-fri, or daily")
        return []
    first, last = WEEKDAYS.index(ends[0]), WEEKDAYS.index(ends[-1])
    return [day % 7 for day in range(first, last + 1 if last >= first else last + 8)]


def _interval(reader: PolicyReader, value: Any, path: Path) -> Interval | None:
    match = _HOURS.fullmatch(value) if isinstance(value, str) else None
    if match:
        hour, minute, end_hour, end_minute = (int(part) for part in match.groups())
        start, end = hour * 3_600 + minute * 60, end_hour * 3_600 + end_minute * 60
        if minute < 60 and end_minute < 60 and start < DAY_SECONDS and end <= DAY_SECONDS and start != end:
            return Interval(start, end if end > start else end + DAY_SECONDS)
    fix = 'write "09:00-17:30"; "22:00-06:00" runs past midnight, "00:00-24:00" is a whole day'
    reader.fault(path, f"{value!r} is no opening time", fix)
    return None


def _holidays(
    reader: PolicyReader, value: Any, path: Path, holiday_dates: HolidayDates | None
) -> frozenset[date]:
    entry = reader.mapping(value, path, ("country", "subdivision", "dates", "except"))
    dates = {reader.date(item, at) for at, item in reader.items(entry.get("dates"), (*path, "dates"))}
    opened = {reader.date(item, at) for at, item in reader.items(entry.get("except"), (*path, "except"))}
    if entry.get("country") is not None:
        country = reader.text(entry["country"], (*path, "country"))
        subdivision = reader.text(entry.get("subdivision"), (*path, "subdivision"), "") or None
        try:
            dates |= holiday_dates(country, subdivision) if holiday_dates and country else frozenset()
        except LookupError as unknown:
            reader.fault((*path, "country"), str(unknown.args[0]), str(unknown.args[1]))
    return frozenset(day for day in dates - opened if day is not None)
