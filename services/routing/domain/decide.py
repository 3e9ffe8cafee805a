"""Who gets this lead: ordered rules, the account's owner, a team's fair share, else a visible queue.

Pure: the same facts, policy, roster and instant give the same decision, with every candidate and reason.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from services.routing.domain.business_calendar import next_change
from services.routing.domain.candidates import Asked, Candidate, LostBecause
from services.routing.domain.conditions import holds
from services.routing.domain.eligibility import MemberState, Need, judge, judge_all, own_changes
from services.routing.domain.policy import (
    Account,
    Condition,
    Person,
    Policy,
    Rule,
    Scalar,
    SlaPolicy,
    Target,
)
from services.routing.domain.rotation import UNIT, Rotation, Turn, take_turn
from services.routing.domain.rule_index import PathStep
from services.routing.domain.sla import Delay


@dataclass(frozen=True, slots=True)
class LeadFacts:
    """What a decision reads of a lead. Points are milli-points; `traits` are routing traits.

    `tried`: reps who held it in this cycle already; `excluded`: not now (the one it is taken from).
    `only_person`: a reassignment to one named person; `only_team`: passed on within a team (the closer team).
    `needs_data`: engaged, but the traits in `missing` are required and not known.
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
    needs_data: bool = False
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Roster:
    """The moving parts: people's states (missing = default) and each team's rotation (missing = fresh)."""

    members: Mapping[str, MemberState] = field(default_factory=dict)
    rotations: Mapping[str, Rotation] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Decision:
    """A person or a queue, never neither. `rotation` is the team's new state (store it with the decision).

    `delay`: what passed since the trigger, ours and people's apart, noted by the caller who knows it.
    """

    lead_id: str
    cycle: int
    at: datetime
    person_id: str | None
    team_id: str | None
    queue: str | None
    rule: str
    reason: str
    path: tuple[PathStep, ...]
    asked: tuple[Asked, ...]
    inputs: dict[str, Scalar]
    policy_version: str
    model_version: str
    calendar_versions: dict[str, str]
    account_id: str | None = None
    method: str = ""
    rotation: Rotation | None = None
    delay: Delay | None = None

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """Everybody who was asked, in the order of the targets."""
        return tuple(candidate for asked in self.asked for candidate in asked.candidates())


# What holds of whom nothing is known; a fresh one for each look-up would cost more than the look-up.
_FRESH, _NO_TURN_YET = MemberState(), Rotation()


@dataclass(slots=True)
class _Inquiry:
    """What was looked at on the way to a decision."""

    lead: LeadFacts
    policy: Policy
    roster: Roster
    now: datetime
    account: Account | None
    path: list[PathStep] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    read: set[str] = field(default_factory=set)

    def lookup(self, name: str) -> object:
        """Return what is known of a field that conditions may name."""
        self.read.add(name)
        return self.peek(name)

    def peek(self, name: str) -> object:
        """Return the same without noting that it was read."""
        return _value(self.lead, self.account, name)


@dataclass(frozen=True, slots=True)
class _Taken:
    """The end of an inquiry: a person, perhaps by a team's turn."""

    person_id: str
    team_id: str | None
    turn: Turn | None = None


def decide(lead: LeadFacts, policy: Policy, roster: Roster, now: datetime) -> Decision:
    """Return who gets the lead at `now`, and why. The caller holds the rows of `teams_touched` locked."""
    inquiry = _Inquiry(lead, policy, roster, now, account_of(lead, policy))
    rule = _matching_rule(inquiry)
    need = Need(_skills_needed(lead, rule), lead.rejected_by, lead.tried, lead.excluded)
    for target in rule.targets:
        if target.kind == "queue":
            inquiry.path.append(PathStep(rule.id, "taken", target))
            return _decision(inquiry, rule, None, target.id)
        taken = _ask(inquiry, target, need)
        result = "taken" if taken else "nobody_eligible"
        if target.kind == "account_owner" and inquiry.account is None:
            result = "no_account"
        inquiry.path.append(PathStep(rule.id, result, target))
        if taken:
            return _decision(inquiry, rule, taken, None)
    return _decision(inquiry, rule, None, policy.last_queue)


def _matching_rule(inquiry: _Inquiry) -> Rule:
    """Return the first rule that matches; an order to one person or team goes before all rules."""
    lead, policy = inquiry.lead, inquiry.policy
    last = Target("queue", policy.last_queue)
    if lead.only_person is not None:
        return Rule("asked-person", Condition(), (Target("person", lead.only_person), last))
    if lead.only_team is not None:
        return Rule("asked-team", Condition(), (Target("team", lead.only_team), last))
    position = policy.rule_index.first(inquiry.peek, inquiry.lookup)
    inquiry.path += policy.rule_index.passed(position)
    if position == len(policy.rules):
        return Rule("last-queue", Condition(), (last,))
    inquiry.path.append(PathStep(policy.rules[position].id, "matched"))
    return policy.rules[position]


def _ask(inquiry: _Inquiry, target: Target, need: Need) -> _Taken | None:
    """Ask the people behind a target; note each one's numbers and why they lose."""
    if target.kind == "team":
        return _ask_team(inquiry, target.id, need)
    person_id = target.id
    if target.kind == "account_owner":
        person_id = inquiry.account.owner if inquiry.account else ""
    person = inquiry.policy.people.get(person_id)
    if person is None:
        return None
    member = inquiry.roster.members.get(person_id, _FRESH)
    verdict = judge(person, member, need, inquiry.policy, inquiry.now)
    # Whoever names a person knows what the hours and caps say; only a deactivated one cannot be named.
    by_hand = inquiry.lead.only_person == person_id and verdict.refusal != "deactivated"
    lost: LostBecause = "" if by_hand or verdict.refusal is None else verdict.refusal
    numbers = verdict.numbers
    if by_hand and verdict.refusal:
        numbers = {**numbers, "overridden": verdict.refusal}
    inquiry.asked.append(Asked([person], None, [lost], [numbers], [1], [0], [0], [None], [verdict.until]))
    return None if lost else _Taken(person_id, person.teams[0] if person.teams else None)


def _ask_team(inquiry: _Inquiry, team_id: str, need: Need) -> _Taken | None:
    members = inquiry.policy.members(team_id)
    verdicts = judge_all(members, inquiry.roster.members, need, inquiry.policy, inquiry.now)
    judged = list(zip(members, verdicts, strict=True))
    weights = {person.id: person.weight for person, verdict in judged if verdict.refusal is None}
    rotation = inquiry.roster.rotations.get(team_id, _NO_TURN_YET)
    turn = take_turn(rotation, weights) if weights else None
    ledger = turn.credited if turn else rotation
    deadlines = turn.deadlines if turn else {}
    chosen = turn.person_id if turn else None
    inquiry.asked.append(
        Asked(
            members,
            team_id,
            [v.refusal or ("" if person.id == chosen else "not_their_turn") for person, v in judged],
            [verdict.numbers for verdict in verdicts],
            [person.weight for person in members],
            [ledger.shares.get(person.id, 0) for person in members],
            [ledger.assigned.get(person.id, 0) for person in members],
            [deadlines.get(person.id) for person in members],
            [verdict.until for verdict in verdicts],
        )
    )
    return _Taken(turn.person_id, team_id, turn) if turn else None


def _decision(inquiry: _Inquiry, rule: Rule, taken: _Taken | None, queue: str | None) -> Decision:
    lead, policy = inquiry.lead, inquiry.policy
    turn = taken.turn if taken else None
    calendars = {person.calendar for asked in inquiry.asked for person in asked.people}
    always = {"grade", "fit", "engagement", "hand_raise"} | (
        {"needs_data", "missing"} if lead.needs_data else set()
    )
    return Decision(
        lead_id=lead.lead_id, cycle=lead.cycle, at=inquiry.now,
        person_id=taken.person_id if taken else None, team_id=taken.team_id if taken else None, queue=queue,
        rule=rule.id, reason=_reason(lead, rule, taken, queue, policy), path=tuple(inquiry.path),
        asked=tuple(inquiry.asked),
        inputs={name: _scalar(_value(lead, inquiry.account, name)) for name in sorted(always | inquiry.read)},
        policy_version=policy.version, model_version=lead.model_version,
        calendar_versions={name: policy.calendars[name].version for name in sorted(calendars)},
        account_id=inquiry.account.id if inquiry.account else None,
        method=turn.method if turn else "", rotation=turn.rotation if turn else None,
    )  # fmt: skip


def _reason(lead: LeadFacts, rule: Rule, taken: _Taken | None, queue: str | None, policy: Policy) -> str:
    """Say in one sentence, for the rep or the queue's owner, why the lead came here."""
    label = rule.label or rule.id
    if taken is None:
        name = policy.queues[queue].name if queue in policy.queues else queue
        if all(target.kind == "queue" for target in rule.targets):
            lacks = f" for {', '.join(lead.missing)}" if lead.needs_data and lead.missing else ""
            return f"{label}: it waits in {name}{lacks}"
        return f"{label}: nobody could take it now, so it waits in {name}"
    if taken.turn is None:
        return f"{label}: it goes to you by name, whoever's turn it is"
    ledger = taken.turn.credited
    team = policy.teams[taken.team_id].name if taken.team_id in policy.teams else taken.team_id
    share, had = ledger.shares[taken.person_id] / UNIT, ledger.assigned.get(taken.person_id, 0)
    return f"{label}: your turn in {team} (fair share {share:.2f} leads, {had} had before)"


def account_of(lead: LeadFacts, policy: Policy) -> Account | None:
    """Return the account a lead belongs to: by its `account_id` trait, else by one of the domain traits."""
    account = policy.accounts.get(str(lead.traits.get("account_id", "")))
    if account is not None:
        return account
    return policy.account_at(str(lead.traits[n]) for n in policy.account_traits if lead.traits.get(n))


def _skills_needed(lead: LeadFacts, rule: Rule) -> frozenset[str]:
    from_traits = {f"{name}:{lead.traits[name]}" for name in rule.skills_from if lead.traits.get(name)}
    return rule.skills | from_traits


def _value(lead: LeadFacts, account: Account | None, name: str) -> object:
    if name.startswith("traits."):
        return lead.traits.get(name.removeprefix("traits."))
    known: dict[str, object] = {
        "grade": lead.grade, "fit": lead.fit, "engagement": lead.engagement,
        "score": lead.fit + lead.engagement, "hand_raise": lead.hand_raise,
        "level_reason": lead.level_reason, "cycle": lead.cycle,
        "needs_data": lead.needs_data, "missing": lead.missing,
        "account": account.id if account else None, "account_stage": account.stage if account else None,
    }  # fmt: skip
    return known.get(name)


def _scalar(value: object) -> Scalar:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)


def matches(condition: Condition, lead: LeadFacts, policy: Policy) -> bool:
    """Tell whether a lead meets a condition of the policy (an SLA policy's `when`, for instance)."""
    account = account_of(lead, policy)
    return holds(condition, lambda name: _value(lead, account, name))


def sla_for(lead: LeadFacts, policy: Policy) -> SlaPolicy:
    """Return the SLA policy of a lead: the first that matches; the last one matches always."""
    return next((sla for sla in policy.sla if matches(sla.when, lead, policy)), policy.sla[-1])


def teams_touched(lead: LeadFacts, policy: Policy) -> tuple[str, ...]:
    """Return the teams whose rotation `decide` may read, sorted: the rows to lock before it."""
    inquiry = _Inquiry(lead, policy, Roster(), datetime.min.replace(tzinfo=UTC), account_of(lead, policy))
    return tuple(sorted({t.id for t in _matching_rule(inquiry).targets if t.kind == "team"}))


def backlog_key(lead: LeadFacts) -> tuple[int, float, str]:
    """Return the sort key of a queue: highest fit + engagement first, then oldest, then lead id."""
    queued = lead.queued_at.timestamp() if lead.queued_at else float("inf")
    return -(lead.fit + lead.engagement), queued, lead.lead_id


def in_backlog_order(leads: Iterable[LeadFacts]) -> list[LeadFacts]:
    """Return the leads in the order in which a woken queue offers them."""
    return sorted(leads, key=backlog_key)


def next_wake(policy: Policy, roster: Roster, queue: str, now: datetime) -> datetime | None:
    """Return the next instant at which the clock alone can change who may take a lead of the queue."""
    instants: list[datetime] = []
    calendars: set[str] = set()
    for person in _who_may_free(policy, queue):
        member = roster.members.get(person.id, MemberState())
        if person.active and member.active and member.online:
            instants += own_changes(person, member, now)
            calendars.add(person.calendar)
    turns = (next_change(policy.calendars[name], now) for name in calendars)
    return min((*instants, *(turn for turn in turns if turn is not None)), default=None)


def _who_may_free(policy: Policy, queue: str) -> list[Person]:
    """Return the members of the queue's teams, and whoever the rules name: owners of accounts, persons."""
    teams = set(policy.queues[queue].teams) or set(policy.teams)
    named = {target.id for rule in policy.rules for target in rule.targets if target.kind == "person"}
    named |= {account.owner for account in policy.accounts.values()}
    return [p for _, p in sorted(policy.people.items()) if p.id in named or teams & set(p.teams)]
