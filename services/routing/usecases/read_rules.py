"""The `rules` of a policy, their condition trees, and which of them can never be reached."""

from collections.abc import Collection, Mapping
from typing import Any, cast

from services.routing.domain.policy import Condition, Operator, Rule, Scalar, Target
from services.routing.usecases.policy_reader import PolicyReader
from shared.config_file import Path

FIELDS = (
    "grade", "fit", "engagement", "score", "hand_raise", "level_reason", "cycle", "account", "account_stage",
    "needs_data", "missing",
)  # fmt: skip
_POINTS = ("fit", "engagement", "score")
_COMPARISONS = ("is", "in", "at_least", "at_most", "contains", "starts_with", "known")
_TREE = ("all", "any", "not")
_RULE = ("id", "label", "when", "to", "skills", "skills_from")
ALWAYS = Condition()


def read_condition(reader: PolicyReader, value: Any, path: Path) -> Condition:
    """Return a condition: `field: value`, `field: [a, b]`, `field: {at_least: 60}`; all, any, not nest.

    Several keys must all hold. Absent means always. Points are written as points, kept as thousandths.
    """
    nodes = [_node(reader, key, item, (*path, key)) for key, item in reader.mapping(value, path).items()]
    if not nodes:
        return ALWAYS
    return nodes[0] if len(nodes) == 1 else Condition("all", children=tuple(nodes))


def _node(reader: PolicyReader, key: str, value: Any, path: Path) -> Condition:
    if key in _TREE:
        children = tuple(read_condition(reader, item, at) for at, item in reader.items(value, path))
        if not children:
            reader.fault(path, f"`{key}` has nothing in it", "write conditions below it, each after '- '")
        return Condition(cast(Operator, key), children=children)
    if key not in FIELDS and not key.startswith("traits."):
        choices = ", ".join(FIELDS)
        fix = f"write traits.{key} for a trait, or one of: {choices}"
        reader.fault(path, f"there is no field {key!r}", fix)
    if not isinstance(value, dict):
        op: Operator = "in" if isinstance(value, list) else "is"
        return Condition(op, key, _values(reader, key, value, path))
    tests = [
        Condition(cast(Operator, op), key, _values(reader, key, item, (*path, op)))
        for op, item in reader.mapping(value, path, _COMPARISONS).items()
    ]
    if not tests:
        reader.fault(path, "there is nothing to compare with", f"write one of: {', '.join(_COMPARISONS)}")
    return tests[0] if len(tests) == 1 else Condition("all", children=tuple(tests))


def _values(reader: PolicyReader, key: str, value: Any, path: Path) -> tuple[Scalar, ...]:
    values: list[Scalar] = []
    for at, item in reader.items(value, path):
        if not isinstance(item, str | int | float | bool):
            reader.fault(at, f"{item!r} cannot be compared with", "write a text, a number, true or false")
            continue
        if key in _POINTS and not isinstance(item, bool | str):
            item = round(item * 1000)
        values.append(item)
    if not values:
        reader.fault(path, "there is nothing to compare with", "write at least one value")
    return tuple(values)


def read_rules(reader: PolicyReader, value: Any, known: Mapping[str, Collection[str]]) -> tuple[Rule, ...]:
    """Return the rules in order; `known` holds the ids of people, teams and queues."""
    rules: list[Rule] = []
    for path, item in reader.items(value, ("rules",)):
        entry = reader.mapping(item, path, _RULE)
        name = reader.text(entry.get("id"), (*path, "id"), f"rule-{len(rules) + 1}")
        if any(rule.id == name for rule in rules):
            reader.fault((*path, "id"), f"a second rule {name!r}", "give it an id of its own")
        rule = Rule(
            name,
            read_condition(reader, entry.get("when"), (*path, "when")),
            _targets(reader, entry.get("to"), (*path, "to"), known),
            reader.text(entry.get("label"), (*path, "label"), ""),
            frozenset(reader.texts(entry.get("skills"), (*path, "skills"))),
            reader.texts(entry.get("skills_from"), (*path, "skills_from")),
        )
        for earlier in rules:
            if implies(rule.when, earlier.when):
                message = f"rule {name!r} is never reached: {earlier.id!r} matches first"
                reader.fault(path, message, f"move it before {earlier.id!r}, or narrow that one")
                break
        rules.append(rule)
    return tuple(rules)


def _targets(
    reader: PolicyReader, value: Any, path: Path, known: Mapping[str, Collection[str]]
) -> tuple[Target, ...]:
    targets: list[Target] = []
    for at, item in reader.items(value, path):
        if item == "account_owner":
            targets.append(Target("account_owner"))
            continue
        if not isinstance(item, dict) or len(item) != 1 or not {*item} <= {"team", "person", "queue"}:
            reader.fault(
                at, f"{item!r} is no target", "write account_owner, team: ID, person: ID or queue: ID"
            )
            continue
        kind, name = next(iter(item.items()))
        targets.append(Target(kind, reader.reference(name, (*at, kind), known[kind], kind)))
    kinds = [target.kind for target in targets]
    if "queue" not in kinds:
        queue = next(iter(sorted(known["queue"])), "ID")
        reader.fault(path, "the rule has no fallback", f"end `to` with `- queue: {queue}`")
    elif kinds.index("queue") != len(kinds) - 1:
        reader.fault(path, "what stands after a queue is never asked", "let the queue be the last target")
    return tuple(targets)


def implies(narrow: Condition, wide: Condition) -> bool:
    """Tell whether whatever meets `narrow` surely meets `wide` too; False where that is not easily seen."""
    if wide.op == "always" or wide == narrow:
        return True
    if wide.op == "all":
        return all(implies(narrow, child) for child in wide.children)
    if wide.op == "any":
        return any(implies(narrow, child) for child in wide.children)
    if narrow.op == "all":
        return any(implies(child, wide) for child in narrow.children)
    if narrow.op == "any":
        return bool(narrow.children) and all(implies(child, wide) for child in narrow.children)
    if narrow.field != wide.field or not narrow.field:
        return False
    return _narrower(narrow, wide)


def _narrower(narrow: Condition, wide: Condition) -> bool:
    if {narrow.op, wide.op} <= {"is", "in"}:
        return set(map(_folded, narrow.values)) <= set(map(_folded, wide.values))
    if narrow.op == wide.op and narrow.op in ("at_least", "at_most"):
        a = [v for v in narrow.values if isinstance(v, int | float)]
        b = [v for v in wide.values if isinstance(v, int | float)]
        if not a or not b:
            return False
        return min(a) >= min(b) if narrow.op == "at_least" else max(a) <= max(b)
    return wide.op == "known" and wide.values != (False,) and narrow.op != "known"


def _folded(value: Scalar) -> Scalar:
    return value.casefold() if isinstance(value, str) else value
