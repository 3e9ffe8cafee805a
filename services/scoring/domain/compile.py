"""A model version as generated Python: one function over traits, one over activities, no call per rule.

Nothing a user wrote becomes source: names, texts and numbers are bound as constants `c0`, `c1`, ….
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import CodeType, FunctionType
from typing import Any

from services.scoring.domain.activity import Activity
from services.scoring.domain.conditions import (
    AllOf,
    Condition,
    Facts,
    Not,
    Test,
    Truth,
    facts_of,
    is_number,
    test_fact,
)
from services.scoring.domain.model import Model, Signal
from services.scoring.domain.signals import as_bots, name_key, path_key, property_of

_ENGINES = {
    "as_bots": as_bots,
    "name_key": name_key,
    "path_key": path_key,
    "property_of": property_of,
    "test_fact": test_fact,
}
_BUILTINS = {"str": str, "int": int, "float": float, "bool": bool, "type": type, "tuple": tuple}


@dataclass(frozen=True, slots=True)
class CompiledModel:
    """`fit(facts)`: the truth of each fit rule, in order; `fit_reads`: the facts each of them reads.

    `signals(activity)`: as `signals.signals_of`.
    """

    model: Model
    fit_reads: tuple[tuple[str, ...], ...]
    fit: Callable[[Facts], tuple[Truth, ...]]
    signals: Callable[[Activity], tuple[str, ...]]
    source: str


@dataclass(slots=True)
class _Source:
    """Source under construction and the constants it names."""

    lines: list[str] = field(default_factory=list)
    constants: dict[str, Any] = field(default_factory=dict)

    def constant(self, value: Any) -> str:
        name = f"c{len(self.constants)}"
        self.constants[name] = value
        return name

    def write(self, depth: int, line: str) -> None:
        self.lines.append("    " * depth + line)


def compile_model(model: Model) -> CompiledModel:
    """Generate and load the functions of a model; do it once per version."""
    source = _Source()
    _write_fit(source, model)
    _write_signals(source, model)
    text = "\n".join(source.lines)
    module = compile(text, "<scoring model>", "exec")
    codes = {code.co_name: code for code in module.co_consts if isinstance(code, CodeType)}
    names = {**source.constants, **_ENGINES, "__builtins__": _BUILTINS}
    return CompiledModel(
        model=model,
        fit_reads=tuple(facts_of(rule.when) for rule in model.fit_rules),
        fit=FunctionType(codes["fit"], names),
        signals=FunctionType(codes["signals"], names),
        source=text,
    )


def _write_fit(source: _Source, model: Model) -> None:
    source.write(0, "def fit(facts):")
    read = sorted({name for rule in model.fit_rules for name in facts_of(rule.when)})
    slots = {name: at for at, name in enumerate(read)}
    for name, at in slots.items():
        source.write(1, f"f{at} = facts.get({source.constant(name)})")
        source.write(1, f"t{at} = type(f{at})")
    for at, rule in enumerate(model.fit_rules):
        _write_condition(source, rule.when, slots, indent=1, depth=0)
        source.write(1, f"r{at} = v0")
    source.write(1, f"return ({''.join(f'r{at}, ' for at in range(len(model.fit_rules)))})")


def _write_signals(source: _Source, model: Model) -> None:
    source.write(0, "def signals(activity):")
    source.write(1, "found = ()")
    source.write(1, "kind = activity.kind")
    if any(signal.names for signal in model.signals):
        source.write(1, "name = name_key(activity.name)")
    if any(signal.paths for signal in model.signals):
        source.write(1, "path = None if activity.path is None else path_key(activity.path)")
    for signal in model.signals:
        _write_signal(source, signal)
    source.write(1, "return as_bots(found) if activity.bot else found")


def _write_signal(source: _Source, signal: Signal) -> None:
    guards = [*_kind_guard(source, signal), *_name_guard(source, signal)]
    if signal.sources:
        guards.append(f"activity.source in {source.constant(frozenset(signal.sources))}")
    guards += _path_guard(source, signal)
    source.write(1, f"if {' and '.join(guards) or 'True'}:")
    taken = f"found += {source.constant((signal.id,))}"
    if signal.where is None:
        source.write(2, taken)
        return
    read = facts_of(signal.where)
    for at, name in enumerate(read):
        source.write(2, f"f{at} = property_of(activity.properties, {source.constant(name)})")
        source.write(2, f"t{at} = type(f{at})")
    slots = {name: at for at, name in enumerate(read)}
    _write_condition(source, signal.where, slots, indent=2, depth=0)
    source.write(2, "if v0 is True:")
    source.write(3, taken)


def _kind_guard(source: _Source, signal: Signal) -> list[str]:
    if len(signal.kinds) == 1:
        return [f"kind == {source.constant(signal.kinds[0])}"]
    return [f"kind in {source.constant(signal.kinds)}"] if signal.kinds else []


def _name_guard(source: _Source, signal: Signal) -> list[str]:
    whole = [name for name in signal.names if not name.endswith("*")]
    begins = [name[:-1] for name in signal.names if name.endswith("*")]
    return _either(source, "name", whole, begins)


def _path_guard(source: _Source, signal: Signal) -> list[str]:
    if not signal.paths:
        return []
    begins = [path_key(path) for path in signal.paths if not path.startswith("*")]
    within = [path_key(path[1:]) for path in signal.paths if path.startswith("*")]
    found = [f"{source.constant(part)} in path" for part in within]
    return ["path is not None", f"({' or '.join([*_either(source, 'path', [], begins), *found])})"]


def _either(source: _Source, subject: str, whole: Sequence[str], begins: Sequence[str]) -> list[str]:
    """Return the test that `subject` is one of `whole` or starts with one of `begins`, if there are any."""
    tests = []
    if len(whole) == 1:
        tests.append(f"{subject} == {source.constant(whole[0])}")
    elif whole:
        tests.append(f"{subject} in {source.constant(frozenset(whole))}")
    if begins:
        tests.append(f"{subject}.startswith({source.constant(tuple(begins))})")
    return [f"({' or '.join(tests)})"] if tests else []


def _write_condition(
    source: _Source, condition: Condition, slots: dict[str, int], *, indent: int, depth: int
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


def _test(source: _Source, test: Test, slot: int) -> str:
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
