"""A scoring model as data: fit rules, engagement signals, bands, level. Points are integers in milli-points.

Built and checked by `usecases/lint_model.py`; immutable once published.
"""

from dataclasses import dataclass
from typing import Literal

from services.scoring.domain.conditions import Condition

MILLI = 1000
SCORE_MAX = 100 * MILLI
BOT_PREFIX = "bot:"  # what bots do counts under this and the signal's id; no id holds a colon
# Told by name only in lines, and never among routing traits: personal data has its own place.
PERSONAL_FACTS = frozenset({"email", "phone", "name", "first_name", "last_name", "address", "birthday"})

Grade = str  # "A1" .. "D4"


@dataclass(frozen=True, slots=True)
class FitRule:
    """`points` (may be negative) where `when` is true; shown as unknown where it is unknown.

    A rule that `disqualifies` takes the fit to 0 and keeps the lead from entering or holding the level.
    """

    id: str
    label: str
    when: Condition
    points: int = 0
    disqualifies: bool = False


@dataclass(frozen=True, slots=True)
class Bands:
    """Frequency: a bonus for at least `count` activities in the last `window_days` days; the top step holds.

    `steps` are (count, points), ascending by count. The bonus does not decay; it expires with the window.
    """

    window_days: int
    steps: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Signal:
    """What an activity must look like to count, and what it earns.

    `kinds`: activity kinds; `names`: by `signals.name_key`, `*` at the end matches any rest; `paths`: URL
    path prefixes of whole segments, after `*` at any depth; `sources`: exact source names; `where`: a
    condition over the event's properties. An empty field matches everything. `cap_per_day` bounds the
    points (absolute value) of one UTC day; None: no bound.
    """

    id: str
    label: str
    points: int
    half_life_days: int | None
    kinds: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    where: Condition | None = None
    cap_per_day: int | None = None
    group: str | None = None
    bands: Bands | None = None
    hand_raise: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """Signals that share one cap on their points before decay; the newest days are counted first."""

    id: str
    label: str
    cap: int


@dataclass(frozen=True, slots=True)
class BandEdges:
    """Lower bounds (milli-points) of the first three of four bands, descending: A,B,C or 1,2,3."""

    first: int
    second: int
    third: int

    def index(self, points: int) -> int:
        """Return 0 for the best band .. 3 for the last."""
        if points >= self.first:
            return 0
        if points >= self.second:
            return 1
        return 2 if points >= self.third else 3


@dataclass(frozen=True, slots=True)
class Level:
    """When a lead enters the level and while it holds it.

    By `threshold`: fit and engagement weighted in percent, against `upper` and `lower` milli-points. By
    `grades`: membership in `enters_grades` and its superset `holds_grades`.
    """

    by: Literal["threshold", "grades"]
    fit_weight: int = 50
    engagement_weight: int = 50
    upper: int = 0
    lower: int = 0
    enters_grades: frozenset[Grade] = frozenset()
    holds_grades: frozenset[Grade] = frozenset()
    hand_raise_days: int = 30  # a hand-raise holds the level this long after the end of its day


@dataclass(frozen=True, slots=True)
class Required:
    """Traits without which a lead with at least `engagement` milli-points goes to the needs-data queue."""

    traits: tuple[str, ...] = ()
    engagement: int = SCORE_MAX


@dataclass(frozen=True, slots=True)
class Model:
    """One published version of the scoring rules. `version` names it in every score."""

    name: str
    version: str
    fit_rules: tuple[FitRule, ...]
    signals: tuple[Signal, ...]
    groups: tuple[Group, ...]
    fit_bands: BandEdges
    engagement_bands: BandEdges
    level: Level
    required: Required = Required()
    routing_traits: tuple[str, ...] = ()

    def grade(self, fit: int, engagement: int) -> Grade:
        """Return the grade of two scores in milli-points, such as `B2`."""
        return "ABCD"[self.fit_bands.index(fit)] + "1234"[self.engagement_bands.index(engagement)]

    def signal(self, signal_id: str) -> Signal | None:
        """Return the signal of that id."""
        return next((signal for signal in self.signals if signal.id == signal_id), None)
