"""From activities to signals: what each counts for, and the counts per signal and UTC day a score reads."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any

from services.scoring.domain.activity import Activity
from services.scoring.domain.conditions import evaluate, facts_of, normalise
from services.scoring.domain.model import BOT_PREFIX, Model, Signal


@dataclass(frozen=True, slots=True)
class DayCount:
    """How often one signal was seen on one UTC day; a lead's rows are those of all its identities.

    `left_out`: these occurred at or before the cut (needed on the cut's own day only; earlier days are left
    out by their date). `last_at`: the latest occurred_at among them (read for hand-raise signals).
    """

    signal: str
    day: date
    count: int
    left_out: bool = False
    last_at: datetime | None = None


def utc_day(instant: datetime) -> date:
    """Return the UTC day of an aware instant."""
    return instant.astimezone(UTC).date()


@lru_cache(maxsize=4096)
def name_key(name: str) -> str:
    """Return an event name as signals compare it: `Product_Added` and `product added` are one."""
    return " ".join(name.replace("_", " ").replace("-", " ").split()).casefold()


def path_key(path: str) -> str:
    """Return a URL path as signals compare it: casefolded, with one slash at each end."""
    trimmed = path.strip("/").casefold()
    return f"/{trimmed}/" if trimmed else "/"


def property_of(properties: Mapping[str, Any], name: str) -> Any:
    """Return the normalised property of that name; a dotted name also reaches into nested objects."""
    value: Any = properties.get(name)
    if value is None and "." in name:
        value = properties
        for part in name.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
    return normalise(value)


def matches(signal: Signal, activity: Activity) -> bool:
    """Interpret one signal's matcher: the oracle of the compiled one. An unknown `where` does not match."""
    return (
        (not signal.kinds or activity.kind in signal.kinds)
        and (not signal.names or any(_name_fits(name, activity.name) for name in signal.names))
        and (not signal.sources or activity.source in signal.sources)
        and (not signal.paths or any(_path_fits(path, activity.path) for path in signal.paths))
        and (signal.where is None or _where_holds(signal, activity.properties))
    )


def _name_fits(pattern: str, name: str) -> bool:
    key = name_key(name)
    return key.startswith(pattern[:-1]) if pattern.endswith("*") else key == pattern


def _path_fits(pattern: str, path: str | None) -> bool:
    if path is None:
        return False
    if pattern.startswith("*"):
        return path_key(pattern[1:]) in path_key(path)
    return path_key(path).startswith(path_key(pattern))


def _where_holds(signal: Signal, properties: Mapping[str, Any]) -> bool:
    assert signal.where is not None
    facts = {name: property_of(properties, name) for name in facts_of(signal.where)}
    return evaluate(signal.where, facts) is True


def signals_of(model: Model, activity: Activity) -> tuple[str, ...]:
    """Return the ids of the signals the activity counts for, in model order; of a bot's as `as_bots` does."""
    found = tuple(signal.id for signal in model.signals if matches(signal, activity))
    return as_bots(found) if activity.bot else found


def as_bots(signals: Iterable[str]) -> tuple[str, ...]:
    """Return the ids under which activity of bots is counted: it earns nothing, and is shown."""
    return tuple(BOT_PREFIX + signal for signal in signals)


def partial_days(as_of: datetime, cut: datetime | None) -> frozenset[date]:
    """Return the UTC days whose cached counts are too coarse: that of `as_of` and that of the cut.

    For these days count the timeline itself with `count_activities` (or the same in SQL): occurred_at <=
    as_of, split at occurred_at <= cut (`left_out`). Where as_of is now, the day of as_of is whole already.
    """
    days = {utc_day(as_of)}
    if cut is not None:
        days.add(utc_day(cut))
    return frozenset(days)


def count_activities(
    model: Model, activities: Iterable[Activity], *, as_of: datetime, cut: datetime | None
) -> tuple[DayCount, ...]:
    """Count activities (one per event id) up to `as_of`, split at the cut: what the cache must agree with."""
    found: defaultdict[tuple[str, date, bool], list[datetime]] = defaultdict(list)
    for activity in activities:
        if activity.occurred_at <= as_of:
            left_out = cut is not None and activity.occurred_at <= cut
            for signal in signals_of(model, activity):
                found[signal, utc_day(activity.occurred_at), left_out].append(activity.occurred_at)
    return tuple(
        DayCount(signal, day, len(seen), left_out, max(seen))
        for (signal, day, left_out), seen in sorted(found.items())
    )
