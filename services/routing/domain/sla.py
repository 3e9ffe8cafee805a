"""SLA clocks as data of one engine: targets, warnings, escalation ladders, pauses, outages, late evidence.

What a clock runs by is frozen at its start; who is told is resolved by the caller when it fires.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from services.routing.domain.business_calendar import (
    DAY_SECONDS,
    Calendar,
    Interval,
    Span,
    add_business,
    business_between,
    deadline,
)
from services.routing.domain.policy import (
    ClockKind,
    ClockPolicy,
    PauseRule,
    Policy,
    Recipient,
    Rung,
    RungAction,
    SlaPolicy,
)

OUTAGE_GAP_SECONDS = 60  # a heartbeat later than this is our outage, not jitter

ACTING: tuple[RungAction, ...] = ("reassign", "out_of_rotation")


@dataclass(frozen=True, slots=True)
class Terms:
    """What a clock runs by, frozen at its start. `calendar` None: real time. Ladder ascending by delay."""

    target_seconds: int
    warnings: tuple[int, ...]
    ladder: tuple[Rung, ...]
    calendar: Calendar | None
    calendar_version: str
    policy_version: str
    pauses: tuple[PauseRule, ...] = ()
    max_reassigns: int = 2
    out_of_rotation_seconds: int = 86_400


@dataclass(frozen=True, slots=True)
class Pause:
    """A pause for a reason. It ends at `ended_at`, or at `limit_at` whatever happens."""

    reason: str
    started_at: datetime
    limit_at: datetime
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Clock:
    """One clock. `stopped_at`: when its act happened (`met`), or it was cancelled.

    `warned`: warnings fired; `rungs`: bit i is set when step i of the ladder has fired. `breached_at`: when
    the breach was recorded, never before the target. `corrected_met_at`: late evidence that the act was in
    time after all.
    """

    id: str
    kind: ClockKind
    lead_id: str
    cycle: int
    terms: Terms
    started_at: datetime
    handoff_id: str | None = None
    person_id: str | None = None
    queue: str | None = None
    state: Literal["running", "met", "cancelled"] = "running"
    stopped_at: datetime | None = None
    pauses: tuple[Pause, ...] = ()
    warned: int = 0
    breached_at: datetime | None = None
    rungs: int = 0
    during_outage: bool = False
    corrected_met_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class SlaEvent:
    """One thing a clock did. `due_at`: the instant it was due; `rung` 1.. for escalations."""

    kind: Literal["warned", "breached", "escalated", "breach_corrected"]
    at: datetime
    due_at: datetime
    target_at: datetime
    rung: int = 0
    tells: Recipient = "rep"
    action: RungAction = "notify"
    during_outage: bool = False
    met_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Fired:
    """The clock after firing all that was due, and what happened, in order."""

    clock: Clock
    events: tuple[SlaEvent, ...]


ALWAYS = Calendar("always", "1", "UTC", ((Interval(0, DAY_SECONDS),),) * 7)
"""Real time, for clocks without opening hours."""


def terms_for(
    kind: ClockKind,
    sla: SlaPolicy,
    policy: Policy,
    *,
    person_id: str | None,
    team_id: str | None,
    queue: str | None,
) -> Terms | None:
    """Freeze the terms of a clock for this holder; None where the policy keeps no such clock."""
    clock = sla.clocks.get(kind)
    if clock is None:
        return None
    calendar = _calendar_for(clock, policy, person_id, team_id, queue)
    return Terms(
        clock.target_seconds, clock.warnings, tuple(sorted(clock.ladder, key=lambda r: r.after_seconds)),
        calendar, calendar.version if calendar else ALWAYS.version, policy.version, clock.pauses,
        sla.max_reassigns, sla.out_of_rotation_seconds,
    )  # fmt: skip


def _calendar_for(
    clock: ClockPolicy, policy: Policy, person_id: str | None, team_id: str | None, queue: str | None
) -> Calendar | None:
    """Return the calendar that the policy names; the nearest one there is where the holder has none."""
    if clock.calendar_of == "always":
        return None
    if clock.calendar_of == "named":
        return policy.calendars[clock.calendar]
    if clock.calendar_of == "rep" and person_id in policy.people:
        return policy.calendars[policy.people[person_id].calendar]
    if team_id in policy.teams:
        return policy.calendars[policy.teams[team_id].calendar]
    return policy.calendars[policy.queues[queue or policy.last_queue].calendar]


def cool_down_terms(seconds: int, policy_version: str) -> Terms:
    """Return terms of a cool-down: real time, no warnings, no ladder."""
    return Terms(seconds, (), (), None, ALWAYS.version, policy_version)


def _pause_spans(clock: Clock) -> tuple[Span, ...]:
    return tuple((p.started_at, min(p.ended_at or p.limit_at, p.limit_at)) for p in clock.pauses)


def _after(clock: Clock, seconds: int) -> datetime:
    return deadline(clock.terms.calendar or ALWAYS, clock.started_at, seconds, _pause_spans(clock))


def target_at(clock: Clock) -> datetime:
    """Return the target instant with the pauses so far; a running pause counts up to its limit."""
    return _after(clock, clock.terms.target_seconds)


@dataclass(frozen=True, slots=True)
class _Step:
    """The next thing a clock does by itself; `rung` counts from 0."""

    due_at: datetime
    kind: Literal["warned", "breached", "escalated"]
    rung: int = 0


def _steps(clock: Clock, outages: Sequence[Span]) -> list[_Step]:
    """Return the steps still to come, in the order in which they fire."""
    if clock.state != "running":
        return []
    terms = clock.terms
    steps = [_Step(_after(clock, seconds), "warned") for seconds in terms.warnings[clock.warned :]]
    if clock.breached_at is None:
        steps.append(_Step(target_at(clock), "breached"))
    rungs = [
        _Step(_rung_due(clock, rung, outages), "escalated", index)
        for index, rung in enumerate(terms.ladder)
        if not clock.rungs >> index & 1
    ]
    return steps + sorted(rungs, key=lambda step: (step.due_at, step.rung))


def _rung_due(clock: Clock, rung: Rung, outages: Sequence[Span]) -> datetime:
    """Return when a rung is due; one that acts waits for what our outages took, at most a target.

    Whoever had no time because of an outage gets that time after it: the wait never ends within the outage.
    """
    seconds = clock.terms.target_seconds + rung.after_seconds
    due = _after(clock, seconds)
    if rung.action not in ACTING:
        return due
    lost = 0.0
    for begins, ends in sorted(outages):
        if begins >= due or ends <= clock.started_at:
            continue
        span = max(begins, clock.started_at), ends
        taken = business_between(clock.terms.calendar or ALWAYS, *span, _pause_spans(clock))
        if not taken:
            continue
        lost = min(lost + taken, clock.terms.target_seconds)
        wait = math.ceil(lost)
        made_up = add_business(clock.terms.calendar or ALWAYS, ends, wait, _pause_spans(clock))
        due = max(due, _after(clock, seconds + wait), made_up)
    return due


def next_due(clock: Clock, outages: Sequence[Span] = ()) -> datetime | None:
    """Return the instant of the next warning, breach or rung; None when the clock has nothing left to do."""
    return min((step.due_at for step in _steps(clock, outages)), default=None)


def fire(clock: Clock, now: datetime, outages: Sequence[Span] = ()) -> Fired:
    """Fire everything due by `now`, each exactly once. `outages`: system outages known, [start, end).

    A clock without terms to breach (a cool-down) reports its end as a breach: the caller knows its kind.
    """
    due = [step for step in _steps(clock, outages) if step.due_at <= now]
    return _fired(clock, due, now, outages)


def _fired(clock: Clock, steps: Sequence[_Step], now: datetime, outages: Sequence[Span]) -> Fired:
    target = target_at(clock)
    events: list[SlaEvent] = []
    for step in steps:
        inside = any(begins <= step.due_at < ends for begins, ends in outages)
        event = SlaEvent(step.kind, now, step.due_at, target, during_outage=inside)
        if step.kind == "warned":
            clock = replace(clock, warned=clock.warned + 1)
        elif step.kind == "breached":
            clock = replace(clock, breached_at=now, during_outage=inside)
        else:
            rung = clock.terms.ladder[step.rung]
            event = replace(event, rung=step.rung + 1, tells=rung.tells, action=rung.action)
            clock = replace(clock, rungs=clock.rungs | 1 << step.rung)
        events.append(event)
    return Fired(clock, tuple(events))


def guarded_action(event: SlaEvent, terms: Terms, reassigns: int) -> RungAction:
    """Return what an escalation may do: after `max_reassigns` in a cycle only notify (the loop guard)."""
    if event.action == "reassign" and reassigns >= terms.max_reassigns:
        return "notify"
    return event.action


def stop(clock: Clock, at: datetime, now: datetime, outages: Sequence[Span] = ()) -> Fired:
    """The act happened at `at` (<= now, at least the start): the clock is met; at the target is in time.

    A warning or breach due before `at` and not yet recorded is recorded now. A breach recorded although
    the act was in time is corrected, not deleted; that holds for a cancelled clock too.
    """
    at = max(at, clock.started_at)
    if clock.state == "running":
        fired = _overdue(clock, at, now, outages)
        met = replace(fired.clock, state="met", stopped_at=at)
        return _corrected(Fired(met, fired.events), at, now)
    return _corrected(Fired(clock, ()), at, now)


def _overdue(clock: Clock, before: datetime, now: datetime, outages: Sequence[Span]) -> Fired:
    """Record at `now` the warnings and the breach due before `before`; rungs are not needed any more."""
    if clock.kind == "cool_down":
        return Fired(clock, ())  # nobody's promise: its end is no breach
    late = [s for s in _steps(clock, outages) if s.due_at < before and s.kind != "escalated"]
    return _fired(clock, late, now, outages)


def _corrected(fired: Fired, met_at: datetime, now: datetime) -> Fired:
    clock, target = fired.clock, target_at(fired.clock)
    if (
        clock.breached_at is None
        or clock.corrected_met_at is not None
        or not clock.started_at <= met_at <= target
    ):
        return fired
    event = SlaEvent(
        "breach_corrected", now, target, target, during_outage=clock.during_outage, met_at=met_at
    )
    return Fired(replace(clock, corrected_met_at=met_at), (*fired.events, event))


def cancel(clock: Clock, at: datetime, outages: Sequence[Span] = ()) -> Fired:
    """The act is no longer asked of anybody. A clock that has ended stays as it is.

    A warning or breach due before `at` and not yet recorded is recorded now: a rep who rejects late was late.
    """
    if clock.state != "running":
        return Fired(clock, ())
    fired = _overdue(clock, at, at, outages)
    return replace(fired, clock=replace(fired.clock, state="cancelled", stopped_at=at))


class PauseRefused(Exception):
    """The reason is not configured or used up, or the clock is not running, or already paused."""


def pause(clock: Clock, reason: str, at: datetime) -> Clock:
    """Pause for a configured reason. The reason's limit is for all its pauses on this clock together.

    It ends by itself when the limit is reached. Raises PauseRefused.
    """
    rule = next((rule for rule in clock.terms.pauses if rule.reason == reason), None)
    if rule is None:
        known = ", ".join(sorted(rule.reason for rule in clock.terms.pauses)) or "none"
        raise PauseRefused(f"no pause for {reason!r}; configured: {known}")
    if clock.state != "running" or clock.breached_at is not None:
        raise PauseRefused("only a running clock within its target can be paused")
    if is_paused(clock, at):
        raise PauseRefused("the clock is paused already")
    spans = zip(clock.pauses, _pause_spans(clock), strict=True)
    used = sum((high - low for p, (low, high) in spans if p.reason == reason), timedelta())
    left = timedelta(seconds=rule.limit_seconds) - used
    if left <= timedelta():
        raise PauseRefused(f"the {rule.limit_seconds} s for {reason!r} are used up")
    return replace(clock, pauses=(*clock.pauses, Pause(reason, at, at + left)))


def is_paused(clock: Clock, at: datetime) -> bool:
    """Tell whether a pause covers the instant."""
    return any(begins <= at < ends for begins, ends in _pause_spans(clock))


def resume(clock: Clock, at: datetime) -> Clock:
    """End the running pause (no change without one)."""
    if not clock.pauses or clock.pauses[-1].ended_at is not None:
        return clock
    last = clock.pauses[-1]
    return replace(clock, pauses=(*clock.pauses[:-1], replace(last, ended_at=min(at, last.limit_at))))


def paused_seconds(clock: Clock, until: datetime) -> int:
    """Return the real seconds spent paused up to `until`."""
    spans = ((low, min(high, until)) for low, high in _pause_spans(clock))
    return int(sum((high - low for low, high in spans if low < high), timedelta()).total_seconds())


def recipient_of(
    tells: Recipient,
    policy: Policy,
    active: Mapping[str, bool],
    *,
    person_id: str | None,
    team_id: str | None,
    queue: str | None,
) -> str:
    """Return whom a rung tells today: the rep, the manager, the head or the queue's owner.

    Whoever is unknown or not `active` (missing = as the policy says) is replaced by the team's head, and
    that one by the owner of the queue, who is told in any case.
    """
    person = policy.people.get(person_id or "")
    team = policy.teams.get(team_id or "")
    owner = policy.queues[queue if queue in policy.queues else policy.last_queue].owner
    head = team.head if team else None
    asked = {
        "rep": person_id,
        "manager": person.manager if person else None,
        "head": head,
        "queue_owner": owner,
    }
    for candidate in (asked[tells], head):
        known = policy.people.get(candidate or "")
        if known is not None and active.get(known.id, known.active):
            return known.id
    return owner


@dataclass(frozen=True, slots=True)
class Delay:
    """Seconds from the trigger to the act, split into ours and people's."""

    system_seconds: float
    human_seconds: float


def delay_split(
    triggered_at: datetime, offered_at: datetime, queued: Sequence[Span], acted_at: datetime
) -> Delay:
    """Split [triggered_at, acted_at): before the offer is ours, but for time `queued` for people."""
    waits = ((max(low, triggered_at), min(high, offered_at)) for low, high in queued)
    waited = sum((high - low for low, high in waits if low < high), timedelta())
    system = (offered_at - triggered_at - waited).total_seconds()
    return Delay(system, (acted_at - triggered_at).total_seconds() - system)
