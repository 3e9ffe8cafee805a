"""One engagement signal as it is written in YAML."""

from collections.abc import Sequence
from typing import Any

from services.scoring.domain.model import Bands, Signal
from services.scoring.domain.signals import name_key
from services.scoring.usecases.condition_reading import read_condition
from services.scoring.usecases.config_reader import ConfigReader
from shared.config_file import Path

_KINDS = ("track", "identify", "page", "screen", "group", "alias", "form")
_KEYS = ("id", "label", "when", "points", "half_life_days", "cap_per_day", "group", "frequency", "hand_raise")
_WHEN = ("kind", "name", "path", "source", "where")
_YEARS = 3650


def read_signal(reader: ConfigReader, value: Any, path: Path, *, groups: Sequence[str]) -> Signal:
    """Return the signal at `path`, noting every fault."""
    entry = reader.mapping(value, path, _KEYS, ("id", "when", "points"))
    identifier = reader.name(entry.get("id"), (*path, "id"))
    points = reader.points(entry.get("points", 0), (*path, "points"))
    cap = entry.get("cap_per_day")
    group = entry.get("group")
    if group is not None and group not in groups:
        fix = f"use one of: {', '.join(groups)}" if groups else "declare it under engagement.groups"
        reader.fault((*path, "group"), f"unknown group {group!r}", fix)
    if group is not None and points < 0:
        reader.fault((*path, "group"), "a group caps gains, but the points are negative", "drop the group")
    where = entry.get("when", {})
    when = reader.mapping(where, (*path, "when"), _WHEN)
    if not when:
        reader.fault((*path, "when"), "it would count every activity", f"name one of: {', '.join(_WHEN)}")
    return Signal(
        id=identifier,
        label=reader.text(entry.get("label"), (*path, "label"), default=identifier),
        points=points,
        half_life_days=_half_life(reader, entry, path),
        kinds=_kinds(reader, when.get("kind"), (*path, "when", "kind")),
        names=tuple(name_key(name) for name in reader.texts(when.get("name"), (*path, "when", "name"))),
        paths=_paths(reader, when.get("path"), (*path, "when", "path")),
        sources=reader.texts(when.get("source"), (*path, "when", "source")),
        where=read_condition(reader, when["where"], (*path, "when", "where"), fact="property")
        if "where" in when
        else None,
        cap_per_day=None if cap is None else reader.points(cap, (*path, "cap_per_day"), least=0),
        group=group if isinstance(group, str) else None,
        bands=_bands(reader, entry["frequency"], (*path, "frequency"), points)
        if "frequency" in entry
        else None,
        hand_raise=reader.flag(entry.get("hand_raise"), (*path, "hand_raise")),
    )


def _half_life(reader: ConfigReader, entry: dict[str, Any], path: Path) -> int | None:
    if entry.get("half_life_days") is None:
        return None
    return reader.whole(entry["half_life_days"], (*path, "half_life_days"), least=1, most=_YEARS, default=30)


def _kinds(reader: ConfigReader, value: Any, path: Path) -> tuple[str, ...]:
    return tuple(
        reader.one_of(kind, (*path, at), _KINDS, "track") for at, kind in enumerate(reader.texts(value, path))
    )


def _paths(reader: ConfigReader, value: Any, path: Path) -> tuple[str, ...]:
    paths = reader.texts(value, path)
    for at, prefix in enumerate(paths):
        if not prefix.removeprefix("*").startswith("/") or "*" in prefix[1:]:
            fix = "write the URL path from its first slash; put * before it to match at any depth"
            reader.fault((*path, at), f"{prefix!r} is no path prefix", fix)
    return paths


def _bands(reader: ConfigReader, value: Any, path: Path, points: int) -> Bands:
    entry = reader.mapping(value, path, ("within_days", "steps"), ("within_days", "steps"))
    days = reader.whole(entry.get("within_days"), (*path, "within_days"), least=1, most=_YEARS, default=14)
    steps: list[tuple[int, int]] = []
    for at, item in enumerate(reader.items(entry.get("steps"), (*path, "steps"))):
        place: Path = (*path, "steps", at)
        step = reader.mapping(item, place, ("times", "bonus"), ("times", "bonus"))
        times = reader.whole(step.get("times"), (*place, "times"), least=1, most=10_000, default=1)
        bonus = reader.points(step.get("bonus", 0), (*place, "bonus"))
        if steps and times <= steps[-1][0]:
            reader.fault((*place, "times"), "steps do not rise", "sort the steps by times, lowest first")
        # Gains may only fall with time and losses only fade: the search for crossings rests on it.
        last = steps[-1][1] if steps else 0
        if bonus * (1 if points >= 0 else -1) < 0 or abs(bonus) < abs(last):
            fix = "give the bonus the sign of the points, and more for more times"
            reader.fault((*place, "bonus"), "the bonus falls, or has another sign than the points", fix)
        steps.append((times, bonus))
    return Bands(days, tuple(steps))
