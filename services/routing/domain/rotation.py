"""Fair share within a team: who is next when reps differ in weight and are not always there.

Each lead adds w_i / sum(w) to the share of every rep eligible for it, in integer units of 1e-9.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

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
    """The state of one team, kept in its locked row: each rep's share (1e-9 leads) and leads assigned.

    Plain numbers by rep: each lead writes them anew for a whole team. `eligible` is the weighted set of the
    last turn.
    """

    shares: dict[str, int] = field(default_factory=dict)
    assigned: dict[str, int] = field(default_factory=dict)
    eligible: dict[str, int] = field(default_factory=dict)

    @property
    def standings(self) -> dict[str, Standing]:
        """Every rep's account."""
        return {rep: Standing(share, self.assigned.get(rep, 0)) for rep, share in self.shares.items()}


@dataclass(frozen=True, slots=True)
class Turn:
    """Whose turn it was and why. `deadlines`: turns from now by which each must be served (0 = now or late).

    `method`: `earliest_deadline` while the eligible set is constant, else `largest_shortfall`.
    `credited`: the accounts with this lead's credit added and the lead itself not yet assigned.
    """

    person_id: str
    method: str
    rotation: Rotation
    credited: Rotation
    deadlines: dict[str, int]

    @property
    def before(self) -> dict[str, Standing]:
        """The credited accounts of those whose turn it might have been."""
        standings = self.credited.standings
        return {person: standings[person] for person in self.deadlines}


def shares(weights: Mapping[str, int]) -> dict[str, int]:
    """Split one lead by weight into integers of 1e-9 that sum to UNIT exactly.

    The units left over by rounding down go one each to the largest remainders, then the lowest ids.
    """
    total = sum(weights.values())
    if not weights or min(weights.values()) < 1:
        raise ValueError("fair share needs at least one rep, each with a weight of 1 or more")
    split = {person: UNIT * weight // total for person, weight in weights.items()}
    left = UNIT - sum(split.values())
    if left:
        by_remainder = sorted(weights, key=lambda person: (-(UNIT * weights[person] % total), person))
        for person in by_remainder[:left]:
            split[person] += 1
    return split


def take_turn(rotation: Rotation, weights: Mapping[str, int]) -> Turn:
    """Credit every eligible rep (id -> weight >= 1, not empty) with one lead's share and pick who gets it.

    While the eligible set stays as it was: of those due (share ahead of what they were assigned) the one
    with the earliest deadline, the turn by which the shortfall would reach a whole lead. From an even start
    that keeps |assigned - share| < 1 for everybody (Tijdeman, The chairman assignment problem, 1980).
    When the set changes: the largest shortfall.
    """
    credit = _shares(tuple(sorted(weights.items())))
    known, had = rotation.shares, rotation.assigned
    share = {person: known.get(person, 0) + more for person, more in credit.items()}
    short = {person: total - had.get(person, 0) * UNIT for person, total in share.items()}
    deadlines = {person: _turns_until_whole(short[person], more) for person, more in credit.items()}
    due = [(deadlines[person], -owed, person) for person, owed in short.items() if owed > 0]
    constant = not rotation.eligible or weights == rotation.eligible
    if constant and due:
        method, chosen = "earliest_deadline", min(due)[2]
    else:
        method, chosen = "largest_shortfall", min((-owed, person) for person, owed in short.items())[1]
    credited = Rotation(known | share, had, rotation.eligible)
    after = Rotation(credited.shares, had | {chosen: had.get(chosen, 0) + 1}, dict(weights))
    return Turn(chosen, method, after, credited, deadlines)


@lru_cache(maxsize=256)  # a team's set stays the same for most of its turns
def _shares(weights: tuple[tuple[str, int], ...]) -> dict[str, int]:
    return shares(dict(weights))


def _turns_until_whole(shortfall: int, share: int) -> int:
    """Return after how many more turns like this one the shortfall reaches a whole lead (0: it has)."""
    return -((shortfall - UNIT) // share) if shortfall < UNIT else 0
