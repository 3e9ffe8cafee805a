"""Decision records as rows: the candidates by column, and rules passed over by their ids, each as one text.

A candidate for each member of a large team is most of a record; by column it is a fraction as long.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from itertools import chain
from typing import Any

import msgspec

from services.routing.domain.candidates import Asked, Candidate
from services.routing.domain.decide import Decision

# The rotation lies in the row of the team; the candidates hold the numbers that decided.
_ELSEWHERE = ("path", "asked", "rotation")
_PLAIN = tuple(field.name for field in fields(Decision) if field.name not in _ELSEWHERE)
_OF_CANDIDATE = tuple(field.name for field in fields(Candidate) if field.name != "numbers")
_BY_MEMBER = tuple(name for name in _OF_CANDIDATE if name not in ("person_id", "team_id"))


def packed(decision: Decision) -> dict[str, Any]:
    """Return what is stored of a decision; `unpacked` gives back all of it but the rotation."""
    passed = [step.rule for step in decision.path if step.result == "not_matched"]  # they come first
    body = {name: getattr(decision, name) for name in _PLAIN} | {"path": decision.path[len(passed) :]}
    # Texts: the database would take hundreds of numbers apart and put them together, for nobody.
    return body | {"passed": _text(passed), "candidates": _text(_by_column(decision.asked))}


def _text(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _by_column(asked: Sequence[Asked]) -> dict[str, Any]:
    people = [person.id for one in asked for person in one.people]
    columns: dict[str, list[Any]] = {
        "person_id": people,
        "team_id": [one.team_id for one in asked for _ in one.people],
    }
    columns |= {name: _joined([getattr(one, name) for one in asked]) for name in _BY_MEMBER}
    rows = _joined([one.numbers for one in asked])
    named = sorted(set().union(*rows))
    return {
        "count": len(people),
        **{name: _column(values) for name, values in columns.items()},
        "numbers": {name: _column([row.get(name) for row in rows]) for name in named},
    }


def _joined(columns: Sequence[Sequence[Any]]) -> list[Any]:
    return list(chain.from_iterable(columns))


def _column(values: list[Any]) -> Any:
    """Return the values, or the one value that all of them are."""
    return values[0] if values and values.count(values[0]) == len(values) else values


def unpacked(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return a stored body as the decision was: every rule in its path, every candidate by itself."""
    rules, candidates = msgspec.json.decode(body["passed"]), msgspec.json.decode(body["candidates"])
    passed = [{"rule": rule, "result": "not_matched", "target": None} for rule in rules]
    plain = {name: value for name, value in body.items() if name != "passed"}
    return plain | {
        "path": passed + body["path"],
        "candidates": _by_row(candidates),
    }


def _by_row(columns: Mapping[str, Any]) -> list[dict[str, Any]]:
    count = columns["count"]
    known = {name: _values(columns[name], count) for name in _OF_CANDIDATE}
    numbers = {name: _values(column, count) for name, column in columns["numbers"].items()}
    return [
        {name: values[row] for name, values in known.items()}
        | {"numbers": {name: values[row] for name, values in numbers.items() if values[row] is not None}}
        for row in range(count)
    ]


def _values(column: Any, count: int) -> list[Any]:
    return column if isinstance(column, list) else [column] * count
