"""Condition trees over traits or event properties, in three-valued logic: what is missing is unknown, not false."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Truth = bool | None  # None: unknown
Scalar = str | bool | int | float
Facts = Mapping[str, Any]  # normalised: see `normalise`

Operator = Literal[
    "is", "in", "contains", "starts_with", "ends_with", "at_least", "at_most", "above", "below", "known"
]


@dataclass(frozen=True, slots=True)
class Test:
    """One comparison of a fact. Text is compared casefolded; `value` of `in` is a frozenset, of `known` a bool."""

    fact: str
    operator: Operator
    value: Scalar | frozenset[Scalar]

    __test__ = False  # not a pytest class


@dataclass(frozen=True, slots=True)
class AllOf:
    """True if all are; false if one is; else unknown."""

    items: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """True if one is; false if all are; else unknown."""

    items: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite; unknown stays unknown."""

    item: "Condition"


Condition = Test | AllOf | AnyOf | Not


def normalise(value: Any) -> Any:
    """Return a fact as conditions compare it, or None where it is missing.

    Text is stripped and casefolded (empty is missing); numbers must be finite; lists become tuples of scalars;
    anything else is missing.
    """
    if isinstance(value, str):
        return value.strip().casefold() or None
    if isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list | tuple):
        items = tuple(item for item in map(normalise, value) if item is not None and not isinstance(item, tuple))
        return items or None
    return None


def normalised(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts that are there, each normalised."""
    pairs = ((name, normalise(value)) for name, value in facts.items())
    return {name: value for name, value in pairs if value is not None}


def facts_of(condition: Condition) -> tuple[str, ...]:
    """Return the names of the facts the condition reads, sorted."""
    raise AssertionError("body follows")


def evaluate(condition: Condition, facts: Facts) -> Truth:
    """Interpret the tree over normalised facts: the oracle of the compiled function."""
    raise AssertionError("body follows")
