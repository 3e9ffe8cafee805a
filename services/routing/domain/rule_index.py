"""The first of many rules that matches: those that compare one field with texts are looked up, not tried."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from services.routing.domain.conditions import Lookup, holds

if TYPE_CHECKING:
    from services.routing.domain.policy import Condition, Rule, Target


@dataclass(frozen=True, slots=True)
class PathStep:
    """One rule or target looked at on the way to a decision.

    `result`: matched or not_matched for a rule; taken, nobody_eligible or no_account for a target.
    """

    rule: str
    result: str
    target: "Target | None" = None


class RuleIndex:
    """Rules in their order. Finds what trying one after the other finds, whatever their number."""

    def __init__(self, rules: Sequence["Rule"]) -> None:
        self._rules = rules
        self._by_text: dict[str, dict[str, int]] = {}
        self._first_use: list[tuple[int, str]] = []
        self._others: list[int] = []
        self._passed = [PathStep(rule.id, "not_matched") for rule in rules]
        for position, rule in enumerate(rules):
            if _compares_texts(rule.when):
                self._add(position, rule.when)
            else:
                self._others.append(position)

    def _add(self, position: int, condition: "Condition") -> None:
        if condition.field not in self._by_text:
            self._first_use.append((position, condition.field))
        known = self._by_text.setdefault(condition.field, {})
        for value in condition.values:
            known.setdefault(_folded(value), position)

    def first(self, peek: Lookup, lookup: Lookup) -> int:
        """Return the position of the first rule that matches, the number of rules where none does.

        `lookup` is asked for exactly the fields that the rules up to that one read, `peek` for more.
        """
        found = self._first_other(self._first_by_text(peek), lookup)
        for first_use, field in self._first_use:
            if first_use <= found:
                lookup(field)
        return found

    def passed(self, position: int) -> list[PathStep]:
        """Return the steps over the rules before that one."""
        return self._passed[:position]

    def _first_by_text(self, peek: Lookup) -> int:
        found = len(self._rules)
        for first_use, field in self._first_use:
            if first_use > found:
                break
            known = self._by_text[field]
            found = min([found, *(known[text] for text in _texts(peek(field)) if text in known)])
        return found

    def _first_other(self, before: int, lookup: Lookup) -> int:
        for position in self._others:
            if position > before:
                break
            if holds(self._rules[position].when, lookup):
                return position
        return before


def _compares_texts(condition: "Condition") -> bool:
    return condition.op in ("is", "in") and all(isinstance(value, str) for value in condition.values)


def _texts(found: object) -> Iterator[str]:
    """Yield what is known of a field as comparisons see it: without case, a list as its items."""
    if isinstance(found, list | tuple | set | frozenset):
        for item in found:
            yield from _texts(item) if isinstance(item, list | tuple | set | frozenset) else (_folded(item),)
    elif found is not None and found != "":
        yield _folded(found)


def _folded(value: object) -> str:
    return str(value).casefold()
