"""Condition trees over what is known of a lead. What is missing satisfies nothing but `not`."""

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from services.routing.domain.policy import Condition, Scalar

Lookup = Callable[[str], object]
"""Returns the value of a field, or None where it is not known."""


def holds(condition: "Condition", lookup: Lookup) -> bool:
    """Tell whether the condition is met; text is compared without case."""
    if condition.op == "always":
        return True
    if condition.op == "all":
        return all(holds(child, lookup) for child in condition.children)
    if condition.op == "any":
        return any(holds(child, lookup) for child in condition.children)
    if condition.op == "not":
        return not any(holds(child, lookup) for child in condition.children)
    found = lookup(condition.field)
    known = found is not None and found != ""
    if condition.op == "known":
        return known is (condition.values != (False,))
    return known and any(_compares(condition.op, found, value) for value in condition.values)


def _compares(op: str, found: object, value: "Scalar") -> bool:
    if op in ("at_least", "at_most"):
        if not isinstance(found, int | float) or not isinstance(value, int | float):
            return False
        return value <= found if op == "at_least" else found <= value
    if isinstance(found, list | tuple | set | frozenset):
        return any(_compares(op, item, value) for item in found)
    if op == "contains":
        return str(value).casefold() in str(found).casefold()
    if op == "starts_with":
        return str(found).casefold().startswith(str(value).casefold())
    if isinstance(found, str) or isinstance(value, str):
        return str(found).casefold() == str(value).casefold()
    return isinstance(found, bool) is isinstance(value, bool) and found == value


def fields_read(condition: "Condition") -> frozenset[str]:
    """Return the fields that the condition reads."""
    own = frozenset({condition.field}) if condition.field else frozenset()
    return own.union(*(fields_read(child) for child in condition.children))
