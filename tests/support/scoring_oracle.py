"""A slow, plain recomputation of leads and scores from the raw timeline, to compare scoring with.

It shares values with the domain (identities, model, the decay factor) and no algorithm: leads grow by
repeated union, owners are found by scanning links, caps are filled one activity at a time.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import Any

from services.scoring.domain.activity import Activity, links_of
from services.scoring.domain.conditions import evaluate, facts_of, normalised
from services.scoring.domain.decay import SCALE, decay_factor
from services.scoring.domain.features import canonical_traits
from services.scoring.domain.identity import Identity, Link, is_role_address
from services.scoring.domain.line import Line
from services.scoring.domain.model import Model, Signal
from services.scoring.domain.signals import matches

Members = frozenset[Identity]
Featurer = Callable[[Mapping[str, Any], Collection[str]], dict[str, Any]]


@dataclass(slots=True)
class Timeline:
    """Everything a score depends on. `activities` as received: any order, duplicates, two bodies under an id.

    `links` None: those that the winning bodies assert, each stored when received; `by_hand`: those of merges
    by hand, besides. `cuts`: per identity, the cycles told with their cuts.
    """

    activities: Sequence[Activity]
    model: Model
    featurer: Featurer
    links: Sequence[Link] | None = None
    by_hand: Sequence[Link] = ()
    hubs: Mapping[Identity, datetime] = field(default_factory=dict)
    never_links: Collection[tuple[Identity, Identity]] = ()
    cuts: Mapping[Identity, Collection[tuple[int, datetime | None]]] = field(default_factory=dict)


def by_identity(
    told: Iterable[tuple[Identity, int, datetime | None]],
) -> dict[Identity, list[tuple[int, datetime | None]]]:
    """Return (identity, cycle, cut) rows as `Timeline.cuts` holds them."""
    cuts: dict[Identity, list[tuple[int, datetime | None]]] = defaultdict(list)
    for identity, cycle, cut in told:
        cuts[identity].append((cycle, cut))
    return dict(cuts)


@dataclass(frozen=True, slots=True)
class OracleLead:
    """One lead at an instant. `core`: its user ids and e-mails, or the anonymous id that is still alone."""

    members: Members
    core: Members
    fit: int
    engagement: int
    grade: str
    enters: bool
    holds: bool
    hand_raise: bool
    needs_data: bool
    lines: tuple[Line, ...]
    cycle: int
    cut: datetime | None
    events: tuple[str, ...]


def recompute(timeline: Timeline, as_of: datetime) -> dict[Members, OracleLead]:
    """Return every lead at `as_of` by its core."""
    winners = _winners(timeline.activities)
    links = [link for link in _links(timeline, winners) if _effective(link, timeline)]
    named = {end for link in _links(timeline, winners) for end in (link.a, link.b)}
    named |= {_subject(activity) for activity in winners}
    leads = [_lead(timeline, members, winners, links, as_of) for members in _grow(named, links)]
    return {lead.core: lead for lead in leads}


def _winners(activities: Iterable[Activity]) -> list[Activity]:
    by_id: defaultdict[str, list[Activity]] = defaultdict(list)
    for activity in activities:
        by_id[activity.event_id].append(activity)
    return [min(bodies, key=lambda body: (body.occurred_at, body.body_hash)) for bodies in by_id.values()]


def _links(timeline: Timeline, winners: Sequence[Activity]) -> list[Link]:
    if timeline.links is not None:
        return [*timeline.links, *timeline.by_hand]
    asserted = [link for activity in winners for link in links_of(activity, activity.received_at)]
    return [*asserted, *timeline.by_hand]


def _effective(link: Link, timeline: Timeline) -> bool:
    refused = {frozenset(edge) for edge in timeline.never_links}
    late = [end for end in (link.a, link.b) if end in timeline.hubs and timeline.hubs[end] < link.linked_at]
    role = any(is_role_address(end) for end in (link.a, link.b))
    return not (frozenset((link.a, link.b)) in refused or late or role)


def _subject(activity: Activity) -> Identity:
    if activity.user_id:
        return Identity("user", activity.user_id)
    if activity.email:
        return Identity("email", activity.email)
    assert activity.anonymous_id
    return Identity("anonymous", activity.anonymous_id)


def _grow(named: Iterable[Identity], links: Sequence[Link]) -> list[Members]:
    groups = [{identity} for identity in named]
    joins = [{link.a, link.b} for link in links if "anonymous" not in (link.a.kind, link.b.kind)]
    leaves = {identity for group in groups for identity in group if identity.kind == "anonymous"}
    joins += [{leaf, owners[0][1]} for leaf in leaves if (owners := _claims(leaf, links))]
    for join in joins:
        touched = [group for group in groups if group & join]
        groups = [group for group in groups if not group & join]
        groups.append(set().union(join, *touched))
    return [frozenset(group) for group in groups]


def _claims(leaf: Identity, links: Sequence[Link]) -> list[tuple[tuple[datetime, str], Identity]]:
    """Return who claims an anonymous id, in order of time; of one event's claims the user id's alone."""
    claims: dict[tuple[datetime, str], Identity] = {}
    for link in links:
        if leaf in (link.a, link.b):
            owner = link.b if link.a == leaf else link.a
            at = (link.occurred_at, link.event_id)
            if at not in claims or owner.kind == "user":
                claims[at] = owner
    return sorted(claims.items())


def _owner(activity: Activity, links: Sequence[Link]) -> Identity:
    subject = _subject(activity)
    claims = _claims(subject, links) if subject.kind == "anonymous" else []
    if not claims:
        return subject
    before = [owner for at, owner in claims if at <= (activity.occurred_at, activity.event_id)]
    return before[-1] if before else claims[0][1]


def _lead(
    timeline: Timeline,
    members: Members,
    winners: Sequence[Activity],
    links: Sequence[Link],
    as_of: datetime,
) -> OracleLead:
    core = frozenset(identity for identity in members if identity.kind != "anonymous") or members
    owned = [activity for activity in winners if _owner(activity, links) in members]
    told = [
        (cycle, cut)
        for member in core
        for cycle, cut in timeline.cuts.get(member, ())
        if cut is None or cut <= as_of
    ]
    cut = max((cut for _, cut in told if cut is not None), default=None)
    seen = [activity for activity in owned if activity.occurred_at <= as_of]
    facts = normalised(_traits(timeline, core, seen))
    fit_lines, disqualified = _fit(timeline.model, facts)
    engagement_lines, raised = _engagement(timeline.model, seen, as_of, cut)
    lines = (*fit_lines, *engagement_lines)
    fit = sum(line.points for line in fit_lines)
    engagement = sum(line.points for line in engagement_lines)
    level = _level(timeline.model, fit, engagement, facts, raised=raised, disqualified=disqualified)
    return OracleLead(
        members=members,
        core=core,
        fit=fit,
        engagement=engagement,
        grade=_grade(timeline.model, fit, engagement),
        enters=level[0],
        holds=level[1],
        hand_raise=raised,
        needs_data=level[2],
        lines=lines,
        cycle=max((cycle for cycle, _ in told), default=0),
        cut=cut,
        events=tuple(sorted(activity.event_id for activity in owned)),
    )


def _traits(timeline: Timeline, core: Members, seen: Sequence[Activity]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for activity in sorted(seen, key=lambda activity: (activity.occurred_at, activity.event_id)):
        found |= canonical_traits(activity.traits)
    emails = sorted(identity.value for identity in core if identity.kind == "email")
    return timeline.featurer(found, emails)


def _fit(model: Model, facts: Mapping[str, Any]) -> tuple[list[Line], bool]:
    lines: list[Line] = []
    disqualified = False
    for disqualifies in (False, True):
        for rule in model.fit_rules:
            truth = evaluate(rule.when, facts)
            if rule.disqualifies != disqualifies or truth is False:
                continue
            inputs = {name: _plain(facts.get(name)) for name in facts_of(rule.when)}
            points = -sum(line.points for line in lines) if disqualifies else rule.points
            status: Any = "unknown" if truth is None else "matched"
            lines.append(Line("fit", rule.id, "rule", points if truth else 0, rule.label, status, inputs))
            disqualified = disqualified or (disqualifies and truth is True)
        total = sum(line.points for line in lines)
        if not 0 <= total <= 100_000:
            change = (0 if total < 0 else 100_000) - total
            lines.append(Line("fit", "fit", "clamp", change, "between 0 and 100", inputs={"sum": total}))
    return lines, disqualified


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


@dataclass(slots=True)
class _Grain:
    """One activity that counts for one signal, and what the caps leave of its points."""

    signal: Signal
    day: date
    counts: bool
    capped: int = 0
    kept: int = 0


def _engagement(
    model: Model, seen: Sequence[Activity], as_of: datetime, cut: datetime | None
) -> tuple[list[Line], bool]:
    grains = [
        _Grain(signal, activity.occurred_at.astimezone(UTC).date(), cut is None or activity.occurred_at > cut)
        for signal in model.signals
        for activity in seen
        if matches(signal, activity) and not activity.bot
    ]
    grains.sort(key=lambda grain: (grain.day, grain.counts), reverse=True)
    _fill_caps(model, grains)
    lines: list[Line] = []
    left_out = 0
    for signal in model.signals:
        own = [grain for grain in grains if grain.signal is signal]
        found, out = _signal_lines(signal, own, as_of)
        lines += found
        left_out += out
    lines += _group_lines(model, grains, as_of)
    dropped = sum(1 for grain in grains if not grain.counts)
    if cut is not None and dropped:
        inputs = {"cut": cut.isoformat(), "count": dropped}
        lines.append(_line("cut", "cut", -left_out, "known before this cycle: left out", inputs))
    for signal in model.signals:
        bots = sum(1 for activity in seen if activity.bot and matches(signal, activity))
        if bots:
            lines.append(_line(signal.id, "bot", 0, f"{signal.label}: made by bots", {"count": bots}))
    total = sum(line.points for line in lines)
    if not 0 <= total <= 100_000:
        change = (0 if total < 0 else 100_000) - total
        lines.append(_line("engagement", "clamp", change, "between 0 and 100", {"sum": total}))
    valid = timedelta(days=model.level.hand_raise_days)
    raised = any(g.signal.hand_raise and g.counts and _age(g.day, as_of) < valid for g in grains)
    return lines, raised


def _fill_caps(model: Model, grains: Sequence[_Grain]) -> None:
    """Give each activity what is left under its day's cap, then under its group's; newest days first."""
    days: defaultdict[tuple[str, date], int] = defaultdict(int)
    for grain in grains:
        cap, points = grain.signal.cap_per_day, grain.signal.points
        used = days[grain.signal.id, grain.day]
        room = abs(points) if cap is None else max(0, min(abs(points), cap - used))
        grain.capped = grain.kept = room if points >= 0 else -room
        days[grain.signal.id, grain.day] += room
    order = {signal.id: at for at, signal in enumerate(model.signals)}
    for group in model.groups:
        room = group.cap
        own = [grain for grain in grains if grain.signal.group == group.id]
        own.sort(key=lambda grain: (-grain.day.toordinal(), not grain.counts, order[grain.signal.id]))
        for grain in own:
            grain.kept = min(grain.capped, room)
            room -= grain.kept


def _age(day: date, as_of: datetime) -> timedelta:
    end = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)
    return max(timedelta(0), as_of - end)


def _decayed(points: Iterable[tuple[_Grain, int]], as_of: datetime) -> int:
    total = Fraction(0)
    for grain, milli in points:
        age_us = _age(grain.day, as_of) // timedelta(microseconds=1)
        total += Fraction(milli * decay_factor(age_us, grain.signal.half_life_days), SCALE)
    size = abs(total) + Fraction(1, 2)
    return (1 if total >= 0 else -1) * (size.numerator // size.denominator)


def _signal_lines(signal: Signal, own: Sequence[_Grain], as_of: datetime) -> tuple[list[Line], int]:
    """Return one signal's lines, and what of its points the cut leaves out."""
    if not own:
        return [], 0
    inputs: dict[str, Any] = {
        "count": len(own),
        "points_each": signal.points,
        "last_day": max(grain.day for grain in own).isoformat(),
    }
    if signal.half_life_days is not None:
        inputs["half_life_days"] = signal.half_life_days
    raw = _decayed(((grain, signal.points) for grain in own), as_of)
    capped = _decayed(((grain, grain.capped) for grain in own), as_of)
    kept = _decayed(((grain, grain.kept) for grain in own), as_of)
    counting = _decayed(((grain, grain.kept) for grain in own if grain.counts), as_of)
    lines = [_line(signal.id, "signal", raw, signal.label, inputs)]
    if capped != raw:
        cap = {"cap_per_day": signal.cap_per_day}
        lines.append(_line(signal.id, "cap", capped - raw, f"{signal.label}: at most so much a day", cap))
    bonus = _bonus(signal, own, as_of)
    if bonus:
        assert signal.bands is not None
        window = {"window_days": signal.bands.window_days}
        lines.append(_line(f"{signal.id}.frequency", "signal", bonus, f"{signal.label}: often", window))
    counting_bonus = _bonus(signal, [grain for grain in own if grain.counts], as_of)
    return lines, kept - counting + bonus - counting_bonus


def _bonus(signal: Signal, own: Sequence[_Grain], as_of: datetime) -> int:
    if signal.bands is None:
        return 0
    recent = sum(1 for grain in own if _age(grain.day, as_of) < timedelta(days=signal.bands.window_days))
    reached = [points for count, points in signal.bands.steps if recent >= count]
    return reached[-1] if reached else 0


def _group_lines(model: Model, grains: Sequence[_Grain], as_of: datetime) -> list[Line]:
    lines = []
    for group in model.groups:
        over = 0
        for signal in model.signals:
            own = [grain for grain in grains if grain.signal is signal and signal.group == group.id]
            over += _decayed(((grain, grain.kept) for grain in own), as_of)
            over -= _decayed(((grain, grain.capped) for grain in own), as_of)
        if over:
            lines.append(_line(group.id, "cap", over, group.label, {"cap": group.cap}))
    return lines


def _line(rule: str, kind: Any, points: int, label: str, inputs: dict[str, Any]) -> Line:
    return Line("engagement", rule, kind, points, label, "matched", inputs)


def _grade(model: Model, fit: int, engagement: int) -> str:
    bands = ((model.fit_bands, fit, "ABCD"), (model.engagement_bands, engagement, "1234"))
    found = ""
    for edges, points, letters in bands:
        over = [points >= edge for edge in (edges.first, edges.second, edges.third)]
        found += letters[over.index(True)] if any(over) else letters[3]
    return found


def _level(
    model: Model, fit: int, engagement: int, facts: Mapping[str, Any], *, raised: bool, disqualified: bool
) -> tuple[bool, bool, bool]:
    """Return (enters, holds, needs data)."""
    if disqualified or raised:
        return raised and not disqualified, raised and not disqualified, False
    if model.level.by == "grades":
        grade = _grade(model, fit, engagement)
        enters, holds = grade in model.level.enters_grades, grade in model.level.holds_grades
    else:
        total = Fraction(fit * model.level.fit_weight + engagement * model.level.engagement_weight, 100)
        enters, holds = total >= model.level.upper, total >= model.level.lower
    lacking = any(name not in facts for name in model.required.traits)
    return enters, holds, lacking and (enters or engagement >= model.required.engagement)
