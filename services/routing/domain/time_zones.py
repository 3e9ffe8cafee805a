"""Stretches of constant UTC offset of a time zone, found by search because zoneinfo does not tell them."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

Stretch = tuple[datetime, datetime, timedelta]
"""[start, end) in UTC, and the offset of local time in between."""

# No zone of the tz database has changed its offset twice within six days since 1900.
SAMPLE = timedelta(days=2)


def _offset(zone: ZoneInfo, at: datetime) -> timedelta:
    offset = at.astimezone(zone).utcoffset()
    if offset is None:
        raise ValueError(f"time zone {zone.key!r} has no offset at {at.isoformat()}")
    return offset


def _change_between(zone: ZoneInfo, low: datetime, high: datetime) -> datetime:
    """Return the second at which the offset that holds at `low` ends."""
    before = _offset(zone, low)
    while high - low > timedelta(seconds=1):
        middle = low + timedelta(seconds=int((high - low).total_seconds()) // 2)
        if _offset(zone, middle) == before:
            low = middle
        else:
            high = middle
    return high


@lru_cache(maxsize=4096)
def _stretches_of_year(key: str, year: int) -> tuple[Stretch, ...]:
    zone = ZoneInfo(key)
    at, end = datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC)
    found: list[Stretch] = []
    begun, offset = at, _offset(zone, at)
    while at < end:
        ahead = min(at + SAMPLE, end)
        if _offset(zone, ahead) != offset:
            change = _change_between(zone, at, ahead)
            found.append((begun, change, offset))
            begun, offset = change, _offset(zone, change)
        at = ahead
    if begun < end:
        found.append((begun, end, offset))
    return tuple(found)


def stretches(key: str, start: datetime, end: datetime) -> Iterator[Stretch]:
    """Yield the stretches of zone `key` within [start, end), ascending; a new year also ends one."""
    start, end = start.astimezone(UTC), end.astimezone(UTC)
    for year in range(start.year, end.year + 1):
        for low, high, offset in _stretches_of_year(key, year):
            if low < end and high > start:
                yield max(low, start), min(high, end), offset
