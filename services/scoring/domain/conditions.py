"""Condition trees over traits or event properties in three-valued logic: missing is unknown, not false."""

import math
from collections.abc import Callable, Mapping
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
    """One comparison of a fact; text is compared casefolded.

    `value`: text for `contains`, `starts_with`, `ends_with`; a number for `at_least`, `at_most`, `above`,
    `below`; a frozenset for `in`; a bool for `known`; any scalar for `is`.
    """

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

    Text is stripped and casefolded (empty is missing); numbers must be finite; lists become tuples of
    scalars; anything else is missing.
    """
    if isinstance(value, str):
        return value.strip().casefold() or None
    if isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list | tuple):
        scalars = (normalise(item) for item in value if not isinstance(item, list | tuple))
        return tuple(item for item in scalars if item is not None) or None
    return None


def normalised(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts that are there, each normalised."""
    pairs = ((name, normalise(value)) for name, value in facts.items())
    return {name: value for name, value in pairs if value is not None}


def facts_of(condition: Condition) -> tuple[str, ...]:
    """Return the names of the facts the condition reads, sorted."""
    if isinstance(condition, Test):
        return (condition.fact,)
    items = (condition.item,) if isinstance(condition, Not) else condition.items
    return tuple(sorted({name for item in items for name in facts_of(item)}))


def evaluate(condition: Condition, facts: Facts) -> Truth:
    """Interpret the tree over normalised facts: the oracle of the compiled function."""
    if isinstance(condition, Test):
        return test_fact(condition, facts.get(condition.fact))
    if isinstance(condition, Not):
        inner = evaluate(condition.item, facts)
        return None if inner is None else not inner
    truths = [evaluate(item, facts) for item in condition.items]
    decisive = isinstance(condition, AnyOf)
    if decisive in truths:
        return decisive
    return None if None in truths else not decisive


def test_fact(test: Test, fact: Any) -> Truth:
    """Return the truth of one comparison for a normalised fact; None: the fact is missing."""
    if test.operator == "known":
        return (fact is not None) == test.value
    if fact is None:
        return None
    if isinstance(fact, tuple):
        return _test_list(test, fact)
    return _COMPARE[test.operator](fact, test.value)


def _test_list(test: Test, fact: tuple[Any, ...]) -> Truth:
    """A list passes if one item does, fails if one item can be compared and none passes, else is unknown."""
    truths = [_COMPARE[test.operator](item, test.value) for item in fact]
    if True in truths:
        return True
    return False if False in truths else None


def is_number(value: Any) -> bool:
    """Tell whether a fact compares as a number; truth values do not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is(fact: Any, value: Any) -> Truth:
    if isinstance(fact, str) != isinstance(value, str) or isinstance(fact, bool) != isinstance(value, bool):
        return None
    return bool(fact == value)


def _in(fact: Any, values: Any) -> Truth:
    truths = [_is(fact, value) for value in values]
    if True in truths:
        return True
    return False if False in truths else None


def _text(compare: Callable[[str, str], bool]) -> Callable[[Any, Any], Truth]:
    return lambda fact, value: compare(fact, value) if isinstance(fact, str) else None


def _number(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], Truth]:
    return lambda fact, value: compare(fact, value) if is_number(fact) else None


# A fact of another type than the comparison needs cannot be read, so the answer is unknown.
_COMPARE: dict[str, Callable[[Any, Any], Truth]] = {
    "is": _is,
    "in": _in,
    "contains": _text(lambda fact, value: value in fact),
    "starts_with": _text(lambda fact, value: fact.startswith(value)),
    "ends_with": _text(lambda fact, value: fact.endswith(value)),
    "at_least": _number(lambda fact, value: bool(fact >= value)),
    "at_most": _number(lambda fact, value: bool(fact <= value)),
    "above": _number(lambda fact, value: bool(fact > value)),
    "below": _number(lambda fact, value: bool(fact < value)),
}
