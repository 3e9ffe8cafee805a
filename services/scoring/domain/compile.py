"""A model version as one generated Python function; the interpreters in conditions.py and signals.py are its oracle."""

from collections.abc import Callable
from dataclasses import dataclass

from services.scoring.domain.activity import Activity
from services.scoring.domain.conditions import Facts, Truth
from services.scoring.domain.model import Model


@dataclass(frozen=True, slots=True)
class CompiledModel:
    """`fit(facts)`: the truth of each fit rule, in order. `signals(activity)`: as `signals.signals_of`."""

    model: Model
    fit: Callable[[Facts], tuple[Truth, ...]]
    signals: Callable[[Activity], tuple[str, ...]]
    source: str


def compile_model(model: Model) -> CompiledModel:
    """Generate and load the function of a model; cached per model (equal models share it)."""
    raise AssertionError("body follows")
