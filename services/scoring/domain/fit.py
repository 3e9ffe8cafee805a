"""Fit: what the rules say of a lead's traits, line by line; a rule that lacks a trait is shown as unknown."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from services.scoring.domain.conditions import Facts, Truth
from services.scoring.domain.line import Line
from services.scoring.domain.model import PERSONAL_FACTS, SCORE_MAX, FitRule


@dataclass(frozen=True, slots=True)
class Fit:
    """Fit in milli-points 0..100_000, the sum of its lines."""

    points: int
    lines: tuple[Line, ...]
    disqualified: bool


def fit_of(
    rules: Sequence[FitRule], reads: Sequence[tuple[str, ...]], truths: Sequence[Truth], facts: Facts
) -> Fit:
    """Return the fit, given what each rule reads and its truth, in order."""
    told = [found for found in zip(rules, reads, truths, strict=True) if found[2] is not False]
    lines = [
        _line(rule, read, truth, rule.points, facts) for rule, read, truth in told if not rule.disqualifies
    ]
    total = sum(line.points for line in lines)
    points = max(0, min(SCORE_MAX, total))
    if points != total:
        lines.append(Line("fit", "fit", "clamp", points - total, "between 0 and 100", inputs={"sum": total}))
    disqualified = False
    for rule, read, truth in told:
        if rule.disqualifies:
            lines.append(_line(rule, read, truth, -points, facts))
            points += lines[-1].points
            disqualified = disqualified or truth is True
    return Fit(points, tuple(lines), disqualified)


def _line(rule: FitRule, read: tuple[str, ...], truth: Truth, points: int, facts: Facts) -> Line:
    inputs = {name: _shown(name, facts.get(name)) for name in read}
    if truth is None:
        return Line("fit", rule.id, "rule", 0, rule.label, "unknown", inputs)
    return Line("fit", rule.id, "rule", points, rule.label, "matched", inputs)


def _shown(name: str, value: Any) -> Any:
    if name in PERSONAL_FACTS:
        return None if value is None else "known"
    return list(value) if isinstance(value, tuple) else value
