"""One line of a score: what is added, by which rule, from which inputs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Dimension = Literal["fit", "engagement"]
LineKind = Literal["rule", "signal", "cap", "clamp", "cut", "bot"]


@dataclass(frozen=True, slots=True)
class Line:
    """One addend of a score in milli-points; field for field `shared.contracts.leads.ScoreLine`."""

    dimension: Dimension
    rule: str
    kind: LineKind
    points: int
    label: str = ""
    status: Literal["matched", "unknown"] = "matched"
    inputs: Mapping[str, Any] = field(default_factory=dict)
