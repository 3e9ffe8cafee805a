"""A model version as generated Python: one function over traits, one over activities of each kind and name.

An activity is looked up by kind and name, so that it meets only the signals that these allow. Nothing a user
wrote becomes source: see `condition_code`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from types import CodeType, FunctionType
from typing import Any

from services.scoring.domain.activity import Activity
from services.scoring.domain.condition_code import Source, read_facts, write_truths
from services.scoring.domain.conditions import Facts, Truth, facts_of, test_fact
from services.scoring.domain.model import Model, Signal
from services.scoring.domain.signals import as_bots, name_key, path_key, property_of

# Names and paths that are looked at once; anybody can invent more of them.
REMEMBERED = 4096

# What a signal still asks of a name: one of these beginnings; none: nothing.
Case = tuple[Signal, tuple[str, ...]]
Matcher = Callable[[Activity | None, str], tuple[str, ...]]


@lru_cache(maxsize=REMEMBERED)
def path_of(path: str | None) -> tuple[str | None, tuple[str, ...]]:
    """Return a path as signals compare it, and its segments."""
    if path is None:
        return None, ()
    key = path_key(path)
    return key, tuple(key.split("/"))


_ENGINES = {"path_of": path_of, "property_of": property_of, "test_fact": test_fact}
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
class _Matchers:
    """The functions over activities: `cases` of each in order, `named` by kind (None: any other) and name."""

    cases: dict[tuple[Case, ...], str] = field(default_factory=dict)
    named: dict[str | None, dict[str | None, str]] = field(default_factory=dict)

    def add(self, kind: str | None, name: str | None, cases: tuple[Case, ...]) -> None:
        function = self.cases.setdefault(cases, f"signals{len(self.cases)}")
        self.named.setdefault(kind, {})[name] = function


def compile_model(model: Model) -> CompiledModel:
    """Generate and load the functions of a model; do it once per version."""
    source = Source()
    _write_fit(source, model)
    matchers = _matchers(model.signals)
    for cases, function in matchers.cases.items():
        _write_matcher(source, function, cases)
    text = "\n".join(source.lines)
    module = compile(text, "<scoring model>", "exec")
    names = {**source.constants, **_ENGINES, "__builtins__": _BUILTINS}
    found = {
        code.co_name: FunctionType(code, names) for code in module.co_consts if isinstance(code, CodeType)
    }
    return CompiledModel(
        model=model,
        fit_reads=tuple(facts_of(rule.when) for rule in model.fit_rules),
        fit=found["fit"],
        signals=_dispatcher(matchers, found),
        source=text,
    )


def _write_fit(source: Source, model: Model) -> None:
    source.write(0, "def fit(facts):")
    slots: dict[str, int] = {}
    for rule in model.fit_rules:
        read_facts(source, rule.when, "facts.get({})", slots, indent=1)
    truths = ((f"r{at}", rule.when) for at, rule in enumerate(model.fit_rules))
    write_truths(source, truths, slots, indent=1)
    source.write(1, f"return ({''.join(f'r{at}, ' for at in range(len(model.fit_rules)))})")


def _dispatcher(matchers: _Matchers, found: Mapping[str, Any]) -> Callable[[Activity], tuple[str, ...]]:
    """Return the function over activities."""
    by_kind = {
        kind: {name: found[function] for name, function in functions.items()}
        for kind, functions in matchers.named.items()
    }
    settled = {found[function] for cases, function in matchers.cases.items() if not any(map(_looks, cases))}

    @lru_cache(maxsize=REMEMBERED)
    def looked_up(kind: str, told: str) -> tuple[str, Matcher | None, tuple[str, ...]]:
        """Return the name's key and the function to ask, or what kind and name alone decide."""
        name = name_key(told)
        by_name = by_kind.get(kind, by_kind[None])
        matcher: Matcher = by_name.get(name, by_name[None])
        return (name, None, matcher(None, name)) if matcher in settled else (name, matcher, ())

    def signals(activity: Activity) -> tuple[str, ...]:
        name, matcher, matched = looked_up(activity.kind, activity.name)
        if matcher is not None:
            matched = matcher(activity, name)
        return as_bots(matched) if activity.bot else matched

    return signals


def _looks(case: Case) -> bool:
    """Return whether a signal asks more of an activity than kind and name."""
    signal, _ = case
    return bool(signal.sources or signal.paths or signal.where is not None)


def _matchers(signals: Sequence[Signal]) -> _Matchers:
    matchers = _Matchers()
    kinds = dict.fromkeys(kind for signal in signals for kind in signal.kinds)
    for kind in (*kinds, None):
        eligible = [signal for signal in signals if not signal.kinds or kind in signal.kinds]
        told = [name for signal in eligible for name in signal.names]
        for name in (*dict.fromkeys(name for name in told if not name.endswith("*")), None):
            matchers.add(kind, name, tuple(_cases(eligible, name)))
    return matchers


def _cases(eligible: Iterable[Signal], name: str | None) -> Iterable[Case]:
    """Yield the signals that an activity of this name can count for; None: a name that none of them tells."""
    for signal in eligible:
        begins = tuple(pattern[:-1] for pattern in signal.names if pattern.endswith("*"))
        if not signal.names or (name is not None and (name in signal.names or name.startswith(begins))):
            yield signal, ()
        elif name is None and begins:
            yield signal, begins


def _write_matcher(source: Source, function: str, cases: Sequence[Case]) -> None:
    source.write(0, f"def {function}(activity, name):")
    if any(signal.paths for signal, _ in cases):
        source.write(1, "path, segments = path_of(activity.path)")
    slots: dict[str, int] = {}
    source.write(1, "found = ()")
    for signal, begins in cases:
        guards = [f"name.startswith({source.constant(begins)})"] if begins else []
        if signal.sources:
            guards.append(f"activity.source in {source.constant(frozenset(signal.sources))}")
        guards += _path_guard(source, signal)
        if guards:
            source.write(1, f"if {' and '.join(guards)}:")
        # What is read behind a guard is not there for those that come after it.
        _write_taken(source, signal, dict(slots) if guards else slots, indent=2 if guards else 1)
    source.write(1, "return found")


def _write_taken(source: Source, signal: Signal, slots: dict[str, int], *, indent: int) -> None:
    taken = f"found += {source.constant((signal.id,))}"
    if signal.where is None:
        source.write(indent, taken)
        return
    read_facts(source, signal.where, "property_of(activity.properties, {})", slots, indent=indent)
    write_truths(source, [("holds", signal.where)], slots, indent=indent)
    source.write(indent, "if holds is True:")
    source.write(indent + 1, taken)


def _path_guard(source: Source, signal: Signal) -> list[str]:
    if not signal.paths:
        return []
    begins = [path_key(path) for path in signal.paths if not path.startswith("*")]
    within = [path_key(path[1:]) for path in signal.paths if path.startswith("*")]
    tests = [f"path.startswith({source.constant(tuple(begins))})"] if begins else []
    # A pattern of one segment is one of the path's segments.
    single = {part.strip("/") for part in within if part.count("/") == 2}
    if single:
        tests.append(f"not {source.constant(frozenset(single))}.isdisjoint(segments)")
    tests += [f"{source.constant(part)} in path" for part in within if part.count("/") != 2]
    return ["path is not None", f"({' or '.join(tests)})"]
