"""What a routing policy says, as data: calendars, people, teams, accounts, rules, SLA terms, reasons, queues.

Every type encodes to and from JSON field by field, so that a policy version can be stored resolved.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Literal

from services.routing.domain.business_calendar import Calendar
from services.routing.domain.rule_index import RuleIndex

MAX_TEAM_SIZE = 200

ClockKind = Literal["assign", "accept", "first_touch", "qualify", "stage_age", "cool_down"]
Recipient = Literal["rep", "manager", "head", "queue_owner"]
RungAction = Literal["notify", "reassign", "out_of_rotation"]
CalendarOf = Literal["rep", "team", "named", "always"]
Operator = Literal[
    "always", "all", "any", "not", "is", "in", "at_least", "at_most", "contains", "starts_with", "known"
]
Scalar = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Condition:
    """One node of a condition tree. `all`, `any`, `not` read `children`; the others compare `field`.

    Fields: grade, fit, engagement, score (milli-points), hand_raise, level_reason, cycle, account,
    account_stage, or `traits.NAME`. A missing value satisfies nothing but `not`.
    """

    op: Operator = "always"
    field: str = ""
    values: tuple[Scalar, ...] = ()
    children: tuple["Condition", ...] = ()


@dataclass(frozen=True, slots=True)
class Target:
    """Where a rule sends a lead: the account's owner, a team, one person or a queue."""

    kind: Literal["account_owner", "team", "person", "queue"]
    id: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """First match wins; `targets` are tried in order and the last is a queue, so nobody is a null owner.

    `skills` are needed of every candidate; `skills_from` names traits whose value is a needed skill
    (`language` with value `de` needs the skill `language:de`).
    """

    id: str
    when: Condition
    targets: tuple[Target, ...]
    label: str = ""
    skills: frozenset[str] = field(default_factory=frozenset)
    skills_from: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TimeOff:
    """One absence [start, end), aware instants."""

    start: datetime
    end: datetime
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who may hold leads or be told of breaches. `weight` is relative within a team (>= 1).

    `timezone` decides what "a day" is for `daily_cap`; hours are those of `calendar` (an id).
    """

    id: str
    name: str
    email: str
    timezone: str
    calendar: str
    teams: tuple[str, ...] = ()
    role: str = "rep"
    weight: int = 1
    skills: frozenset[str] = field(default_factory=frozenset)
    daily_cap: int | None = None
    open_cap: int | None = None
    manager: str | None = None
    time_off: tuple[TimeOff, ...] = ()
    active: bool = True


@dataclass(frozen=True, slots=True)
class Team:
    """At most MAX_TEAM_SIZE people under a head. `calendar` (an id) serves clocks kept on team time."""

    id: str
    name: str
    head: str
    calendar: str


@dataclass(frozen=True, slots=True)
class Account:
    """A company we know. A lead belongs to it by `account_id` trait or one of its `domains`."""

    id: str
    name: str
    owner: str
    domains: tuple[str, ...] = ()
    stage: str = "customer"


@dataclass(frozen=True, slots=True)
class Queue:
    """A visible queue with an owner; its leads run against the assign clock on `calendar` (an id).

    `teams` are those whose members can free it; their eligibility sets its wake timer.
    """

    id: str
    name: str
    owner: str
    calendar: str
    teams: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rung:
    """One step of an escalation ladder, `after_seconds` of business time past the target."""

    after_seconds: int
    tells: Recipient
    action: RungAction = "notify"


@dataclass(frozen=True, slots=True)
class PauseRule:
    """A reason for which a clock may be paused, and for how long in real seconds, in one go."""

    reason: str
    limit_seconds: int


@dataclass(frozen=True, slots=True)
class ClockPolicy:
    """Terms of one kind of clock. `warnings`: business seconds after the start, ascending, below the target.

    `calendar_of`: the holder's calendar, the team's, a `named` one (`calendar`), or `always` (real time).
    """

    kind: ClockKind
    target_seconds: int
    warnings: tuple[int, ...] = ()
    ladder: tuple[Rung, ...] = ()
    calendar_of: CalendarOf = "rep"
    calendar: str = ""
    pauses: tuple[PauseRule, ...] = ()


@dataclass(frozen=True, slots=True)
class SlaPolicy:
    """Clocks for the leads that `when` matches; the first match wins and the last matches always.

    `max_reassigns`: the loop guard, reassignments by the ladder within one cycle.
    `out_of_rotation_seconds`: how long a rep taken out of rotation stays out (real time).
    """

    id: str
    when: Condition
    clocks: dict[ClockKind, ClockPolicy]
    max_reassigns: int = 2
    out_of_rotation_seconds: int = 86_400


@dataclass(frozen=True, slots=True)
class Reason:
    """Why sales gives a lead back, and what follows: recycle after `cool_down_seconds`, or disqualify."""

    id: str
    label: str
    outcome: Literal["recycle", "disqualify"]
    cool_down_seconds: int = 0
    do_not_contact: bool = False


@dataclass(frozen=True, slots=True)
class RecyclePolicy:
    """Reasons and cycle budget. `lost_cool_down_seconds` None: lost leads stay lost until recycled."""

    reasons: dict[str, Reason]
    max_cycles: int = 3
    lost_cool_down_seconds: int | None = None
    stages: tuple[str, ...] = ("unqualified", "qualified")
    closer_team: str | None = None


@dataclass(frozen=True)
class Policy:
    """One published version of everything that routing decides by.

    Without slots: what decisions look up again and again is indexed once, and no part of the stored version.
    """

    version: str
    calendars: dict[str, Calendar]
    people: dict[str, Person]
    teams: dict[str, Team]
    queues: dict[str, Queue]
    last_queue: str
    rules: tuple[Rule, ...]
    sla: tuple[SlaPolicy, ...]
    recycle: RecyclePolicy
    accounts: dict[str, Account] = field(default_factory=dict)
    account_traits: tuple[str, ...] = ("company_domain", "email_domain")

    def members(self, team_id: str) -> tuple[Person, ...]:
        """Return the people of a team, by id."""
        return self._members.get(team_id, ())

    def account_at(self, domains: Iterable[str]) -> Account | None:
        """Return the account that one of the domains belongs to; of several the one with the lowest id."""
        found = {owner for domain in domains if (owner := self._account_ids.get(domain.casefold()))}
        return self.accounts[min(found)] if found else None

    @cached_property
    def rule_index(self) -> RuleIndex:
        """The rules, to be found by what a lead is."""
        return RuleIndex(self.rules)

    @cached_property
    def _members(self) -> dict[str, tuple[Person, ...]]:
        members: dict[str, list[Person]] = {}
        for _, person in sorted(self.people.items()):
            for team_id in person.teams:
                members.setdefault(team_id, []).append(person)
        return {team_id: tuple(people) for team_id, people in members.items()}

    @cached_property
    def _account_ids(self) -> dict[str, str]:
        owned: dict[str, str] = {}
        for account_id, account in sorted(self.accounts.items()):
            for domain in account.domains:
                owned.setdefault(domain.casefold(), account_id)
        return owned
