"""The score of a lead at an instant: exact lines in milli-points whose sum is the score, grade and level."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.scoring.domain.compile import CompiledModel
from services.scoring.domain.conditions import Facts, evaluate, facts_of, normalised
from services.scoring.domain.decay import instant_us
from services.scoring.domain.engagement import Ledger, engagement_lines, hand_raised, open_ledger
from services.scoring.domain.fit import Fit, fit_of
from services.scoring.domain.level import LevelReason, standing
from services.scoring.domain.line import Line
from services.scoring.domain.model import Grade, Model
from services.scoring.domain.signals import DayCount


@dataclass(frozen=True, slots=True)
class Score:
    """A lead's score at `as_of`; `fit` and `engagement` (0..100_000 milli-points) are sums of their lines.

    `hand_raised_at`: the latest hand-raise that still counts, where its `DayCount.last_at` was given.
    """

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


@dataclass(frozen=True, slots=True)
class Basis:
    """What a score follows from at any instant until new activity: normalised facts, fit, ledger."""

    rules: Model
    facts: Facts
    fit: Fit
    ledger: Ledger
    cut: datetime | None


def score(
    counts: Iterable[DayCount],
    traits: Mapping[str, Any],
    model: Model | CompiledModel,
    *,
    as_of: datetime,
    cut: datetime | None = None,
) -> Score:
    """Score a lead: `score_of` the `basis_of` the same arguments."""
    return score_of(basis_of(counts, traits, model, as_of=as_of, cut=cut), as_of)


def basis_of(
    counts: Iterable[DayCount],
    traits: Mapping[str, Any],
    model: Model | CompiledModel,
    *,
    as_of: datetime,
    cut: datetime | None = None,
) -> Basis:
    """Return what a lead's score follows from.

    `counts`: all rows of all its identities with occurred_at up to `as_of`, the cut's day split
    (`DayCount.left_out`, see `signals.partial_days`); rows of later days are ignored. `traits`: resolved
    traits with derived features (`features.with_features`). Only activity strictly after `cut` counts; the
    rest is shown as a `cut` line. A compiled model gives the same result as the model itself, faster.
    """
    rules = model.model if isinstance(model, CompiledModel) else model
    facts = normalised(traits)
    ledger = open_ledger(counts, rules, as_of=as_of, cut=cut)
    return Basis(rules, facts, fit_score(model, facts), ledger, cut)


def score_of(basis: Basis, as_of: datetime) -> Score:
    """Return the score at `as_of`."""
    rules, fit = basis.rules, basis.fit
    at_us = instant_us(as_of)
    lines = engagement_lines(basis.ledger, at_us, basis.cut)
    engagement = sum(line.points for line in lines)
    raised, raised_at = hand_raised(basis.ledger, at_us, rules.level.hand_raise_days)
    found = standing(
        rules,
        fit=fit.points,
        engagement=engagement,
        hand_raise=raised,
        known=basis.facts,
        disqualified=fit.disqualified,
    )
    return Score(
        as_of=as_of,
        model_version=rules.version,
        fit=fit.points,
        engagement=engagement,
        grade=found.grade,
        lines=(*fit.lines, *lines),
        enters=found.enters,
        holds=found.holds,
        level_reason=found.reason,
        hand_raise=raised,
        hand_raised_at=raised_at,
        needs_data=found.needs_data,
        missing=found.missing,
        disqualified=fit.disqualified,
    )


def fit_score(model: Model | CompiledModel, facts: Facts) -> Fit:
    """Return the fit of normalised facts."""
    if isinstance(model, CompiledModel):
        return fit_of(model.model.fit_rules, model.fit_reads, model.fit(facts), facts)
    reads = [facts_of(rule.when) for rule in model.fit_rules]
    return fit_of(model.fit_rules, reads, [evaluate(rule.when, facts) for rule in model.fit_rules], facts)
