"""Grade and level of two scores: whether the lead enters, holds, or waits for data."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from services.scoring.domain.model import Grade, Model

LevelReason = Literal["threshold", "grade", "hand_raise"]


@dataclass(frozen=True, slots=True)
class Standing:
    """What routing acts on. `needs_data`: engaged, but `missing` required traits keep it from a person."""

    grade: Grade
    enters: bool
    holds: bool
    reason: LevelReason | None
    needs_data: bool
    missing: tuple[str, ...]


def standing(
    model: Model,
    *,
    fit: int,
    engagement: int,
    hand_raise: bool,
    known: Collection[str],
    disqualified: bool,
) -> Standing:
    """Return grade and level. `known` names the traits that are there.

    A hand-raise enters whatever the scores and needs no further data; disqualified leads never enter.
    """
    grade = model.grade(fit, engagement)
    if disqualified:
        return Standing(grade, enters=False, holds=False, reason=None, needs_data=False, missing=())
    if hand_raise:
        return Standing(grade, enters=True, holds=True, reason="hand_raise", needs_data=False, missing=())
    enters, holds = _by_score(model, fit, engagement, grade)
    lacking = tuple(name for name in model.required.traits if name not in known)
    needs_data = bool(lacking) and (enters or engagement >= model.required.engagement)
    reason: LevelReason | None = (
        ("threshold" if model.level.by == "threshold" else "grade") if enters else None
    )
    return Standing(grade, enters, holds, reason, needs_data, lacking if needs_data else ())


def _by_score(model: Model, fit: int, engagement: int, grade: Grade) -> tuple[bool, bool]:
    level = model.level
    if level.by == "grades":
        return grade in level.enters_grades, grade in level.holds_grades
    weighted = fit * level.fit_weight + engagement * level.engagement_weight
    return weighted >= level.upper * 100, weighted >= level.lower * 100
