"""Who was asked for a lead, with the numbers that decided: by column to decide, one by one to explain."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from services.routing.domain.eligibility import Refusal
from services.routing.domain.policy import Person

LostBecause = Refusal | Literal["not_their_turn", ""]


@dataclass(frozen=True, slots=True)
class Candidate:
    """One member of a team asked (or the one person asked) with the numbers that decided.

    `lost_because`: a refusal code, `not_their_turn`, or "" for the one chosen. Shares in 1e-9 leads,
    as they stood before this lead with this lead's credit added; `deadline` in turns.
    """

    person_id: str
    team_id: str | None
    lost_because: LostBecause
    numbers: dict[str, str | int] = field(default_factory=dict)
    weight: int = 1
    share: int = 0
    assigned: int = 0
    deadline: int | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """The people behind one target, the columns of their `Candidate`s in the order of `people`.

    An object for each member of a team of two hundred, for each lead, would be most of a decision's cost.
    """

    people: Sequence[Person]
    team_id: str | None
    lost_because: Sequence[LostBecause]
    numbers: Sequence[dict[str, str | int]]
    weight: Sequence[int]
    share: Sequence[int]
    assigned: Sequence[int]
    deadline: Sequence[int | None]
    until: Sequence[datetime | None]

    def candidates(self) -> Iterator[Candidate]:
        """Yield those asked, one by one."""
        rows = zip(
            self.people, self.lost_because, self.numbers, self.weight, self.share, self.assigned,
            self.deadline, self.until, strict=True,
        )  # fmt: skip
        for person, lost, numbers, *rest in rows:
            yield Candidate(person.id, self.team_id, lost, numbers, *rest)
