"""What a benchmark says: a ratio to a reference of the same run, its spread, its goal."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Series:
    """Repeated measurements of one quantity, in the order in which they were taken."""

    values: tuple[float, ...]

    @classmethod
    def of(cls, values: Sequence[float]) -> "Series":
        """Make a series of at least one value."""
        if not values:
            raise ValueError("a series needs at least one value")
        return cls(tuple(values))

    @property
    def median(self) -> float:
        return median(self.values)

    def over(self, reference: "Series") -> "Series":
        """Return the ratios pair by pair: what drifts with the machine's speed cancels out."""
        return Series(tuple(a / b for a, b in zip(self.values, reference.values, strict=True)))

    def text(self, form: str = ",.2f") -> str:
        """Return median and spread, as in `1.52 (1.40 to 1.61)`."""
        if len(self.values) == 1:
            return format(self.median, form)
        return f"{self.median:{form}} ({min(self.values):{form}} to {max(self.values):{form}})"


@dataclass(frozen=True, slots=True)
class Figure:
    """One row of the results. `part`: which benchmark; texts are for people; `met` is None without a goal."""

    part: str
    work: str
    measured: str
    reference: str
    ratio: str
    goal: str
    met: bool | None = None

    def row(self) -> str:
        """Return the row of the table in RESULTS.md."""
        verdict = {True: "yes", False: "**no**", None: "-"}[self.met]
        return (
            f"| {self.work} | {self.measured} | {self.reference} | {self.ratio} | {self.goal} | {verdict} |"
        )


# A part takes the number of rounds and returns its figures.
Part = Callable[[int], Sequence[Figure]]
