"""Who gets this lead: ordered rules, the account's owner, a team's fair share, else a visible queue.

Pure: the same facts, policy, roster and instant give the same decision, with every candidate and reason.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from services.routing.domain.eligibility import MemberState, Refusal
from services.routing.domain.policy import Policy, Scalar, Target
from services.routing.domain.rotation import Rotation


@dataclass(frozen=True, slots=True)
class LeadFacts:
    """What a decision reads of a lead. Points are milli-points; `traits` are routing traits.

    `tried`: reps who held it in this cycle already; `excluded`: not now (the one it is taken from).
    `only_person`: a reassignment to one named person; `only_team`: passed on within a team (the closer team).
    """

    lead_id: str
    cycle: int
    grade: str
    fit: int
    engagement: int
    hand_raise: bool = False
    level_reason: str | None = None
    traits: Mapping[str, object] = field(default_factory=dict)
    rejected_by: frozenset[str] = field(default_factory=frozenset)
    tried: frozenset[str] = field(default_factory=frozenset)
    excluded: frozenset[str] = field(default_factory=frozenset)
    queued_at: datetime | None = None
    only_person: str | None = None
    only_team: str | None = None
    model_version: str = ""


@dataclass(frozen=True, slots=True)
class Roster:
    """The moving parts: people's states (missing = default) and each team's rotation (missing = fresh)."""

    members: Mapping[str, MemberState] = field(default_factory=dict)
    rotations: Mapping[str, Rotation] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Candidate:
    """One member of the chosen team (or the one person asked) with the numbers that decided.

    `lost_because`: a refusal code, `not_their_turn`, or "" for the one chosen. Shares in 1e-9 leads,
    as they stood before this lead with this lead's credit added; `deadline` in turns.
    """

    person_id: str
    lost_because: Refusal | Literal["not_their_turn", ""]
    numbers: dict[str, str | int] = field(default_factory=dict)
    weight: int = 1
    share: int = 0
    assigned: int = 0
    deadline: int | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class PathStep:
    """One rule or target looked at: `matched`/`not_matched` for rules, `taken`/`nobody_eligible`/... for targets."""

    rule: str
    result: str
    target: Target | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """A person or a queue, never neither. `rotation` is the team's new state (store it with the decision)."""

    lead_id: str
    cycle: int
    at: datetime
    person_id: str | None
    team_id: str | None
    queue: str | None
    rule: str
    reason: str
    path: tuple[PathStep, ...]
    candidates: tuple[Candidate, ...]
    inputs: dict[str, Scalar]
    policy_version: str
    model_version: str
    calendar_versions: dict[str, str]
    account_id: str | None = None
    method: str = ""
    rotation: Rotation | None = None


def decide(lead: LeadFacts, policy: Policy, roster: Roster, now: datetime) -> Decision:
    """Return who gets the lead at `now`, and why. The caller holds the row of the decided team locked."""
    raise NotImplementedError


def teams_touched(lead: LeadFacts, policy: Policy) -> tuple[str, ...]:
    """Return the teams whose rotation `decide` may read for this lead, sorted: the rows to lock before it."""
    raise NotImplementedError


def backlog_key(lead: LeadFacts) -> tuple[int, float, str]:
    """Return the sort key of a queue: highest fit + engagement first, then oldest, then lead id."""
    raise NotImplementedError


def in_backlog_order(leads: Iterable[LeadFacts]) -> list[LeadFacts]:
    """Return the leads in the order in which a woken queue offers them."""
    return sorted(leads, key=backlog_key)


def next_wake(policy: Policy, roster: Roster, queue: str, now: datetime) -> datetime | None:
    """Return the next instant at which the clock alone can change the eligibility of a member of the queue's teams."""
    raise NotImplementedError
