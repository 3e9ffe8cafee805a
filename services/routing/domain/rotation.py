"""Fair share within a team: who is next when reps differ in weight and are not always there.

Each lead adds w_i / sum(w) to the share of every rep eligible for it, in integer units of 1e-9.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

UNIT = 1_000_000_000
"""One lead, in share units."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A rep's account: `share` of the leads offered while eligible (1e-9 leads), and leads `assigned`."""

    share: int = 0
    assigned: int = 0

    @property
    def shortfall(self) -> int:
        """Share not yet served, in 1e-9 leads; negative when ahead."""
        return self.share - self.assigned * UNIT


@dataclass(frozen=True, slots=True)
class Rotation:
    """The state of one team, kept in its locked row. `eligible` is the weighted set of the last turn."""

    standings: dict[str, Standing] = field(default_factory=dict)
    eligible: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Turn:
    """Whose turn it was and why. `deadlines`: turns from now by which each must be served (0 = now or late).

    `method`: `earliest_deadline` while the eligible set is constant, else `largest_shortfall`.
    """

    person_id: str
    method: str
    rotation: Rotation
    before: dict[str, Standing]
    deadlines: dict[str, int]


def shares(weights: Mapping[str, int]) -> dict[str, int]:
    """Split one lead by weight into integers of 1e-9 that sum to UNIT exactly.

    The units left over by rounding down go one each to the largest remainders, then the lowest ids.
    """
    raise NotImplementedError


def take_turn(rotation: Rotation, weights: Mapping[str, int]) -> Turn:
    """Credit every eligible rep (id -> weight >= 1, not empty) with one lead's share and pick who gets it."""
    raise NotImplementedError
