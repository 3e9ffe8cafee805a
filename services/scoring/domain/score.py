"""The score of a lead at an instant: exact lines in milli-points whose sum is the score, grade and level."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from services.scoring.domain.model import Grade, Model
from services.scoring.domain.signals import DayCount

Dimension = Literal["fit", "engagement"]
LineKind = Literal["rule", "signal", "cap", "clamp", "cut", "bot"]
LevelReason = Literal["threshold", "grade", "hand_raise"]


@dataclass(frozen=True, slots=True)
class Line:
    """One addend of a score; field for field `shared.contracts.leads.ScoreLine`."""

    dimension: Dimension
    rule: str
    kind: LineKind
    points: int
    label: str = ""
    status: Literal["matched", "unknown"] = "matched"
    inputs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Score:
    """A lead's score at `as_of`. `fit` and `engagement` are 0..100_000 milli-points, the sums of their lines."""

    as_of: datetime
    model_version: str
    fit: int
    engagement: int
    grade: Grade
    lines: tuple[Line, ...]
    enters: bool
    holds: bool
    level_reason: LevelReason | None = None
    hand_raise: bool = False
    hand_raised_at: datetime | None = None
    needs_data: bool = False
    missing: tuple[str, ...] = ()
    disqualified: bool = False


def score(
    counts: Iterable[DayCount],
    traits: Mapping[str, Any],
    model: Model,
    *,
    as_of: datetime,
    cut: datetime | None = None,
) -> Score:
    """Score a lead.

    `counts`: all rows of all its identities with occurred_at up to `as_of`, the cut's day split (`DayCount.left_out`,
    see `signals.partial_days`); rows of later days are ignored. `traits`: resolved traits with derived features
    (`features.with_features`). Only activity strictly after `cut` counts; the rest is shown as a `cut` line.
    """
    raise AssertionError("body follows")
