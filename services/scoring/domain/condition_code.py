"""Conditions as Python source: statements that leave a truth in a variable, without a call for each test.

Nothing a user wrote becomes source: names, texts and numbers are bound as constants `c0`, `c1`, ….
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from services.scoring.domain.conditions import AllOf, Condition, Not, Test, facts_of, is_number


@dataclass(slots=True)
class Source:
    """Source under construction and the constants it names."""

    lines: list[str] = field(default_factory=list)
    constants: dict[str, Any] = field(default_factory=dict)

    def constant(self, value: Any) -> str:
        name = f"c{len(self.constants)}"
        self.constants[name] = value
        return name

    def write(self, depth: int, line: str) -> None:
        self.lines.append("    " * depth + line)


def read_facts(
    source: Source, condition: Condition, read: str, slots: dict[str, int], *, indent: int
) -> None:
    """Write how the facts of a condition are read that have no slot yet; `read` has the place of the name."""
    for name in facts_of(condition):
        if name not in slots:
            at = slots[name] = len(slots)
            source.write(indent, f"f{at} = {read.format(source.constant(name))}")
            source.write(indent, f"t{at} = type(f{at})")


def write_truths(
    source: Source, wanted: Iterable[tuple[str, Condition]], slots: dict[str, int], *, indent: int
) -> None:
    """Write statements that leave the truth of each condition in its variable.

    Where every fact is there and of the type that its tests compare, nothing is unknown and two-valued logic
    says it all; where the only fact is missing, all is unknown; otherwise Kleene's tables decide. Conditions
    that ask the same of their facts share the question.
    """
    alike: dict[tuple[str, ...], list[tuple[str, Condition, str | None]]] = {}
    for into, condition in wanted:
        guards: dict[str, None] = {}
        plain = _plain_logic(source, condition, slots, guards)
        alike.setdefault(() if plain is None else tuple(guards), []).append((into, condition, plain))
    for asked, members in alike.items():
        if asked:
            _write_alike(source, asked, members, slots, indent=indent)
        else:
            _write_each(source, members, slots, indent=indent)


def _write_alike(
    source: Source,
    asked: Sequence[str],
    members: Sequence[tuple[str, Condition, str | None]],
    slots: dict[str, int],
    *,
    indent: int,
) -> None:
    source.write(indent, f"if {' and '.join(asked)}:")
    for into, _, plain in members:
        source.write(indent + 1, f"{into} = {plain}")
    facts = {fact for _, condition, _ in members for fact in facts_of(condition)}
    if len(facts) == 1 and all(_is_unknown_without(condition) for _, condition, _ in members):
        source.write(indent, f"elif f{slots[facts.pop()]} is None:")
        source.write(indent + 1, f"{' = '.join(into for into, _, _ in members)} = None")
    source.write(indent, "else:")
    _write_each(source, members, slots, indent=indent + 1)


def _write_each(
    source: Source,
    members: Sequence[tuple[str, Condition, str | None]],
    slots: dict[str, int],
    *,
    indent: int,
) -> None:
    for into, condition, _ in members:
        if isinstance(condition, Test):
            source.write(indent, f"{into} = {_test(source, condition, slots[condition.fact])}")
        else:
            _write_condition(source, condition, slots, indent=indent, depth=0)
            source.write(indent, f"{into} = v0")


def _is_unknown_without(condition: Condition) -> bool:
    """Return whether the condition is unknown as soon as all its facts are missing."""
    if isinstance(condition, Test):
        return condition.operator != "known"
    items = (condition.item,) if isinstance(condition, Not) else condition.items
    return bool(items) and all(map(_is_unknown_without, items))


def _plain_logic(
    source: Source, condition: Condition, slots: dict[str, int], guards: dict[str, None]
) -> str | None:
    """Return the condition in two-valued logic and add what must hold for it; None where there is none."""
    if isinstance(condition, Test):
        fact, kind = f"f{slots[condition.fact]}", f"t{slots[condition.fact]}"
        if condition.operator == "known":
            return f"({fact} is not None)" if condition.value else f"({fact} is None)"
        guard = _guard(condition, kind)
        if guard is None:
            return None
        guards[f"({guard})"] = None
        return f"({_comparison(condition, fact, source.constant(condition.value))})"
    if isinstance(condition, Not):
        inner = _plain_logic(source, condition.item, slots, guards)
        return None if inner is None else f"(not {inner})"
    every = isinstance(condition, AllOf)
    parts = []
    for item in condition.items:
        part = _plain_logic(source, item, slots, guards)
        if part is None:
            return None
        parts.append(part)
    return f"({(' and ' if every else ' or ').join(parts) or every})"


def _write_condition(
    source: Source, condition: Condition, slots: dict[str, int], *, indent: int, depth: int
) -> None:
    """Write statements that leave the truth of `condition` in v<depth>, by Kleene's tables."""
    if isinstance(condition, Test):
        source.write(indent, f"v{depth} = {_test(source, condition, slots[condition.fact])}")
    elif isinstance(condition, Not):
        _write_condition(source, condition.item, slots, indent=indent, depth=depth)
        source.write(indent, f"v{depth} = None if v{depth} is None else not v{depth}")
    else:
        neutral = isinstance(condition, AllOf)
        source.write(indent, f"v{depth} = {neutral}")
        for item in condition.items:
            # The decisive truth (false for all, true for any) cannot change any more.
            source.write(indent, f"if v{depth} is not {not neutral}:")
            _write_condition(source, item, slots, indent=indent + 1, depth=depth + 1)
            source.write(indent + 1, f"if v{depth + 1} is not {neutral}:")
            source.write(indent + 2, f"v{depth} = v{depth + 1}")


def _test(source: Source, test: Test, slot: int) -> str:
    fact, kind = f"f{slot}", f"t{slot}"
    if test.operator == "known":
        return f"{fact} is not None" if test.value else f"{fact} is None"
    # What is missing, a list, or of another type than the fast comparison wants goes the interpreter's way.
    otherwise = f"None if {fact} is None else test_fact({source.constant(test)}, {fact})"
    guard = _guard(test, kind)
    if guard is None:
        return otherwise
    return f"({_comparison(test, fact, source.constant(test.value))}) if {guard} else ({otherwise})"


def _guard(test: Test, kind: str) -> str | None:
    values = test.value if isinstance(test.value, frozenset) else (test.value,)
    if all(isinstance(value, str) for value in values):
        return f"{kind} is str"
    if all(is_number(value) for value in values):
        return f"{kind} is int or {kind} is float"
    return f"{kind} is bool" if all(isinstance(value, bool) for value in values) else None


_COMPARISONS = {
    "is": "{fact} == {value}",
    "in": "{fact} in {value}",
    "contains": "{value} in {fact}",
    "starts_with": "{fact}.startswith({value})",
    "ends_with": "{fact}.endswith({value})",
    "at_least": "{fact} >= {value}",
    "at_most": "{fact} <= {value}",
    "above": "{fact} > {value}",
    "below": "{fact} < {value}",
}


def _comparison(test: Test, fact: str, value: str) -> str:
    return _COMPARISONS[test.operator].format(fact=fact, value=value)
