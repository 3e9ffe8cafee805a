"""Decision records as rows: a team's candidates by column, and rules passed over by their ids.

A candidate for each member of a large team is most of a record; by column it is a quarter as long.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from itertools import takewhile
from typing import Any

from services.routing.domain.decide import Candidate, Decision

# The rotation lies in the row of the team; the candidates hold the numbers that decided.
_ELSEWHERE = ("path", "candidates", "rotation")
_PLAIN = tuple(field.name for field in fields(Decision) if field.name not in _ELSEWHERE)
_OF_CANDIDATE = tuple(field.name for field in fields(Candidate) if field.name != "numbers")


def packed(decision: Decision) -> dict[str, Any]:
    """Return what is stored of a decision; `unpacked` gives back all of it but the rotation."""
    passed = [step.rule for step in takewhile(lambda step: step.result == "not_matched", decision.path)]
    body = {name: getattr(decision, name) for name in _PLAIN}
    return body | {
        "passed": passed,
        "path": decision.path[len(passed) :],
        "candidates": _by_column(decision.candidates),
    }


def _by_column(candidates: Sequence[Candidate]) -> dict[str, Any]:
    columns = {name: _column([getattr(one, name) for one in candidates]) for name in _OF_CANDIDATE}
    named = sorted({name for one in candidates for name in one.numbers})
    numbers = {name: _column([one.numbers.get(name) for one in candidates]) for name in named}
    return {"count": len(candidates), **columns, "numbers": numbers}


def _column(values: list[Any]) -> Any:
    """Return the values, or the one value that all of them are."""
    return values[0] if values and values.count(values[0]) == len(values) else values


def unpacked(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return a stored body as the decision was: every rule in its path, every candidate by itself."""
    passed = [{"rule": rule, "result": "not_matched", "target": None} for rule in body["passed"]]
    plain = {name: value for name, value in body.items() if name != "passed"}
    return plain | {"path": passed + body["path"], "candidates": _by_row(body["candidates"])}


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
