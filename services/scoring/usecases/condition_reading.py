"""Conditions as they are written in YAML: `{trait: seniority, in: [vp, c_level]}`, `all:`, `any:`, `not:`."""

from typing import Any, cast

from services.scoring.domain.conditions import AllOf, AnyOf, Condition, Not, Operator, Scalar, Test, normalise
from services.scoring.usecases.config_reader import ConfigReader, kind_of
from shared.config_file import Path

_TEXT: tuple[Operator, ...] = ("contains", "starts_with", "ends_with")
_NUMBER: tuple[Operator, ...] = ("at_least", "at_most", "above", "below")
_OPERATORS: tuple[Operator, ...] = ("is", "in", *_TEXT, *_NUMBER, "known")
_MAX_DEPTH = 8
_NEVER = AnyOf(())  # stands in for what could not be read


def read_condition(reader: ConfigReader, value: Any, path: Path, *, fact: str, depth: int = 0) -> Condition:
    """Return the condition at `path`; `fact` is the key that names what is compared: trait or property."""
    if depth > _MAX_DEPTH:
        reader.fault(path, f"conditions are nested deeper than {_MAX_DEPTH}", "split the rule into several")
        return _NEVER
    entry = reader.mapping(value, path, ("all", "any", "not", fact, *_OPERATORS))
    for key, node in (("all", AllOf), ("any", AnyOf)):
        if key in entry and _alone(reader, entry, key, path):
            inner = reader.items(entry[key], (*path, key))
            if not inner:
                reader.fault((*path, key), f"{key!r} holds no condition", "add one, or drop it")
            return node(
                tuple(
                    read_condition(reader, item, (*path, key, at), fact=fact, depth=depth + 1)
                    for at, item in enumerate(inner)
                )
            )
    if "not" in entry and _alone(reader, entry, "not", path):
        return Not(read_condition(reader, entry["not"], (*path, "not"), fact=fact, depth=depth + 1))
    return _read_test(reader, entry, path, fact)


def _alone(reader: ConfigReader, entry: dict[str, Any], key: str, path: Path) -> bool:
    if len(entry) > 1:
        others = ", ".join(repr(other) for other in entry if other != key)
        reader.fault(path, f"{key!r} stands beside {others}", f"put the others into the list below {key!r}")
    return True


def _read_test(reader: ConfigReader, entry: dict[str, Any], path: Path, fact: str) -> Condition:
    operators = [key for key in entry if key in _OPERATORS]
    if fact not in entry or len(operators) != 1:
        message = f"a condition names one {fact} and one comparison, found {sorted(entry) or 'nothing'}"
        reader.fault(
            path, message, f"write {{{fact}: NAME, is: VALUE}}; comparisons: {', '.join(_OPERATORS)}"
        )
        return _NEVER
    name = reader.text(entry[fact], (*path, fact))
    name = name.casefold() if fact == "trait" else name
    operator = next(known for known in _OPERATORS if known in entry)
    value = _read_value(reader, operator, entry[operator], (*path, operator))
    return _NEVER if value is None else Test(name, operator, value)


def _read_value(
    reader: ConfigReader, operator: str, value: Any, path: Path
) -> Scalar | frozenset[Scalar] | None:
    if operator == "in":
        return _read_choices(reader, value, path)
    wanted: tuple[type, ...] = (str, bool, int, float)
    if operator in _TEXT:
        wanted = (str,)
    elif operator in _NUMBER:
        wanted = (int, float)
    elif operator == "known":
        wanted = (bool,)
    found = normalise(value)
    wrong_bool = isinstance(found, bool) and bool not in wanted
    if isinstance(found, tuple) or not isinstance(found, wanted) or wrong_bool:
        reader.fault(
            path,
            f"{operator!r} cannot compare with {kind_of(value)}",
            "see the comparisons in the default model",
        )
        return None
    return cast("Scalar", found)


def _read_choices(reader: ConfigReader, value: Any, path: Path) -> frozenset[Scalar] | None:
    choices = [normalise(item) for item in reader.items(value, path)]
    kinds = {str if isinstance(item, str) else bool if isinstance(item, bool) else float for item in choices}
    if not choices or None in choices or any(isinstance(item, tuple) for item in choices) or len(kinds) != 1:
        reader.fault(
            path, "'in' needs values of one kind", "list texts only, or numbers only: in: [de, at, ch]"
        )
        return None
    return frozenset(choices)
