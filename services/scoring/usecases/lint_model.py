"""Turn a YAML scoring model into a Model, or into findings that name file, line, fault and fix."""

import hashlib
import json
from typing import Any

from services.scoring.domain.model import (
    MILLI,
    PERSONAL_FACTS,
    SCORE_MAX,
    BandEdges,
    FitRule,
    Group,
    Level,
    Model,
    Required,
    Signal,
)
from services.scoring.usecases.condition_reading import read_condition
from services.scoring.usecases.config_reader import ConfigReader
from services.scoring.usecases.signal_reading import read_signal
from shared.config_file import ConfigDocument, ConfigFinding, Path

_TOP = ("version", "name", "fit", "engagement", "bands", "level", "required", "routing_traits")
_GRADES = [letter + digit for letter in "ABCD" for digit in "1234"]
_PERCENT = 100


def lint_model(document: ConfigDocument) -> Model | list[ConfigFinding]:
    """Return the model, or every fault found (never empty). Its version: `<name>@<12 hex of its content>`."""
    reader = ConfigReader(document)
    if not isinstance(document.data, dict):
        reader.fault((), "the file holds no model", f"start with: {', '.join(_TOP)}")
        return reader.findings
    top = reader.mapping(document.data, (), _TOP, ("name", "fit", "engagement", "bands", "level"))
    if top.get("version", 1) != 1:
        reader.fault(("version",), f"unknown format version {top['version']!r}", "write version: 1")
    fit = reader.mapping(top.get("fit", {}), ("fit",), ("rules",), ("rules",))
    engagement = reader.mapping(
        top.get("engagement", {}), ("engagement",), ("groups", "signals"), ("signals",)
    )
    groups = _groups(reader, engagement.get("groups"))
    name = reader.name(top.get("name", "model"), ("name",))
    model = Model(
        name=name,
        version=f"{name}@{_digest(document.data)}",
        fit_rules=_fit_rules(reader, fit.get("rules")),
        signals=_signals(reader, engagement.get("signals"), groups),
        groups=groups,
        fit_bands=_bands(reader, top.get("bands"), "fit", ("A", "B", "C")),
        engagement_bands=_bands(reader, top.get("bands"), "engagement", (1, 2, 3)),
        level=_level(reader, top.get("level", {})),
        required=_required(reader, top.get("required")),
        routing_traits=_routing_traits(reader, top.get("routing_traits")),
    )
    _no_id_twice(reader, model)
    return sorted(reader.findings) if reader.findings else model


def _digest(data: Any) -> str:
    return hashlib.sha256(json.dumps(data, sort_keys=True, default=str).encode()).hexdigest()[:12]


def _fit_rules(reader: ConfigReader, value: Any) -> tuple[FitRule, ...]:
    rules = []
    for at, item in enumerate(reader.items(value, ("fit", "rules"))):
        path: Path = ("fit", "rules", at)
        entry = reader.mapping(item, path, ("id", "label", "when", "points", "disqualifies"), ("id", "when"))
        disqualifies = reader.flag(entry.get("disqualifies"), (*path, "disqualifies"))
        if disqualifies == ("points" in entry):
            reader.fault(path, "a rule has either points or 'disqualifies: true'", "keep one of the two")
        points = reader.points(entry["points"], (*path, "points")) if "points" in entry else 0
        identifier = reader.name(entry.get("id"), (*path, "id"))
        when = read_condition(reader, entry.get("when"), (*path, "when"), fact="trait")
        label = reader.text(entry.get("label"), (*path, "label"), default=identifier)
        rules.append(FitRule(identifier, label, when, points, disqualifies))
    return tuple(rules)


def _signals(reader: ConfigReader, value: Any, groups: tuple[Group, ...]) -> tuple[Signal, ...]:
    path: Path = ("engagement", "signals")
    names = [group.id for group in groups]
    return tuple(
        read_signal(reader, item, (*path, at), groups=names)
        for at, item in enumerate(reader.items(value, path))
    )


def _groups(reader: ConfigReader, value: Any) -> tuple[Group, ...]:
    groups = []
    for at, item in enumerate(reader.items(value, ("engagement", "groups"))):
        path: Path = ("engagement", "groups", at)
        entry = reader.mapping(item, path, ("id", "label", "cap"), ("id", "cap"))
        identifier = reader.name(entry.get("id"), (*path, "id"))
        label = reader.text(entry.get("label"), (*path, "label"), default=identifier)
        groups.append(Group(identifier, label, reader.points(entry.get("cap"), (*path, "cap"), least=0)))
    return tuple(groups)


def _bands(reader: ConfigReader, value: Any, dimension: str, letters: tuple[str | int, ...]) -> BandEdges:
    bands = reader.mapping(value, ("bands",), ("fit", "engagement"), ("fit", "engagement"))
    path: Path = ("bands", dimension)
    keys = [str(letter) for letter in letters]
    told = bands.get(dimension, {})
    told = {str(key): edge for key, edge in told.items()} if isinstance(told, dict) else told
    entry = reader.mapping(told, path, keys, keys)
    edges = [reader.points(entry.get(key, 0), (*path, key), least=0, most=100) for key in keys]
    if not edges[0] > edges[1] > edges[2]:
        message = f"the bounds of {keys[0]}, {keys[1]} and {keys[2]} do not fall"
        reader.fault(path, message, "write the lower bound of each band, the best band's highest")
    return BandEdges(*edges)


def _level(reader: ConfigReader, value: Any) -> Level:
    path: Path = ("level",)
    entry = reader.mapping(value, path, ("threshold", "grades", "hand_raise_days"))
    days = reader.whole(
        entry.get("hand_raise_days"), (*path, "hand_raise_days"), least=1, most=365, default=30
    )
    if ("threshold" in entry) == ("grades" in entry):
        reader.fault(path, "a level has either a threshold or grades", "keep one of the two")
        return Level("threshold", upper=SCORE_MAX, lower=SCORE_MAX, hand_raise_days=days)
    if "grades" in entry:
        return _grade_level(reader, entry["grades"], days)
    return _threshold_level(reader, entry["threshold"], days)


def _grade_level(reader: ConfigReader, value: Any, days: int) -> Level:
    path: Path = ("level", "grades")
    entry = reader.mapping(value, path, ("enters", "holds"), ("enters", "holds"))
    sets = {}
    for key in ("enters", "holds"):
        sets[key] = frozenset(
            reader.one_of(grade, (*path, key, at), _GRADES, "A1")
            for at, grade in enumerate(reader.items(entry.get(key), (*path, key)))
        )
    if not sets["enters"] <= sets["holds"]:
        missing = ", ".join(sorted(sets["enters"] - sets["holds"]))
        reader.fault(
            (*path, "holds"), f"grades that enter do not hold: {missing}", "list them under holds too"
        )
    return Level("grades", enters_grades=sets["enters"], holds_grades=sets["holds"], hand_raise_days=days)


def _threshold_level(reader: ConfigReader, value: Any, days: int) -> Level:
    path: Path = ("level", "threshold")
    keys = ("fit_weight", "engagement_weight", "enters_at", "holds_at")
    entry = reader.mapping(value, path, keys, keys)
    weights = [
        reader.whole(entry.get(key), (*path, key), least=0, most=_PERCENT, default=50) for key in keys[:2]
    ]
    if sum(weights) != _PERCENT:
        message = f"the weights are percent and add up to {sum(weights)}"
        reader.fault(path, message, "make fit_weight and engagement_weight add up to 100")
    upper, lower = (reader.points(entry.get(key, 0), (*path, key), least=0, most=100) for key in keys[2:])
    if lower > upper:
        message = f"holds_at ({lower // MILLI}) is above enters_at ({upper // MILLI})"
        reader.fault((*path, "holds_at"), message, "a lead leaves below holds_at: choose it lower")
    return Level("threshold", weights[0], weights[1], upper, lower, hand_raise_days=days)


def _required(reader: ConfigReader, value: Any) -> Required:
    if value is None:
        return Required()
    path: Path = ("required",)
    entry = reader.mapping(value, path, ("traits", "engagement_from"), ("traits", "engagement_from"))
    traits = tuple(name.casefold() for name in reader.texts(entry.get("traits"), (*path, "traits")))
    engagement = reader.points(
        entry.get("engagement_from", 100), (*path, "engagement_from"), least=0, most=100
    )
    return Required(traits, engagement)


def _routing_traits(reader: ConfigReader, value: Any) -> tuple[str, ...]:
    path: Path = ("routing_traits",)
    traits = tuple(name.casefold() for name in reader.texts(value, path))
    for at, name in enumerate(traits):
        if name in PERSONAL_FACTS:
            fix = "drop it: names and addresses travel in the person of a snapshot"
            reader.fault((*path, at), f"{name!r} is personal data", fix)
    return traits


def _no_id_twice(reader: ConfigReader, model: Model) -> None:
    lists: tuple[tuple[Path, list[str]], ...] = (
        (("fit", "rules"), [rule.id for rule in model.fit_rules]),
        (("engagement", "signals"), [signal.id for signal in model.signals]),
        (("engagement", "groups"), [group.id for group in model.groups]),
    )
    for path, ids in lists:
        for at, identifier in enumerate(ids):
            if identifier in ids[:at]:
                reader.fault((*path, at, "id"), f"id {identifier!r} is used twice", "give each its own id")
