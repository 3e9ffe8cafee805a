"""Fair share within a team: who is next when reps differ in weight and are not always there.

Each lead adds w_i / sum(w) to the share of every rep eligible for it, in integer units of 1e-9.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

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


_NOTHING_YET = Standing()


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
    credit = shares(weights)
    before: dict[str, Standing] = {}
    short: dict[str, int] = {}
    deadlines: dict[str, int] = {}
    for person in sorted(weights):  # one pass: a team may have two hundred, and each lead asks
        known = rotation.standings.get(person, _NOTHING_YET)
        before[person] = Standing(known.share + credit[person], known.assigned)
        short[person] = before[person].shortfall
        deadlines[person] = _turns_until_whole(short[person], credit[person])
    due = [person for person in before if short[person] > 0]
    constant = not rotation.eligible or dict(weights) == rotation.eligible
    if constant and due:
        method = "earliest_deadline"
        chosen = min(due, key=lambda p: (deadlines[p], -short[p], p))
    else:
        method = "largest_shortfall"
        chosen = min(before, key=lambda p: (-short[p], p))
    served = replace(before[chosen], assigned=before[chosen].assigned + 1)
    after = Rotation({**rotation.standings, **before, chosen: served}, dict(weights))
    return Turn(chosen, method, after, before, deadlines)


def _turns_until_whole(shortfall: int, share: int) -> int:
    """Return after how many more turns like this one the shortfall reaches a whole lead (0: it has)."""
    return max(0, -((shortfall - UNIT) // share))
