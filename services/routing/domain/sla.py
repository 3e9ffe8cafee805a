"""SLA clocks as data of one engine: targets, warnings, escalation ladders, pauses, outages, late evidence.

What a clock runs by is frozen at its start; who is told is resolved by the caller when it fires.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from services.routing.domain.business_calendar import Calendar, Span
from services.routing.domain.policy import (
    ClockKind,
    PauseRule,
    Policy,
    Recipient,
    Rung,
    RungAction,
    SlaPolicy,
)

OUTAGE_GAP_SECONDS = 60
"""A heartbeat gap longer than this is our outage (DESIGN: promise 3 asks recovery within 5 s, so 60 is not jitter)."""

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

    `warned`: warnings fired; `rungs`: ladder steps fired. `breached_at`: when the breach was recorded
    (never before the target). `corrected_met_at`: late evidence that the act was in time after all.
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
    raise NotImplementedError


def cool_down_terms(seconds: int, policy_version: str) -> Terms:
    """Return terms of a cool-down: real time, no warnings, no ladder."""
    raise NotImplementedError


def target_at(clock: Clock) -> datetime:
    """Return the target instant with the pauses so far; a running pause counts up to its limit."""
    raise NotImplementedError


def next_due(clock: Clock, outages: Sequence[Span] = ()) -> datetime | None:
    """Return the instant of the next warning, breach or rung; None when the clock has nothing left to do."""
    raise NotImplementedError


def fire(clock: Clock, now: datetime, outages: Sequence[Span] = ()) -> Fired:
    """Fire everything due by `now`, each exactly once. `outages`: system outages known, [start, end)."""
    raise NotImplementedError


def stop(clock: Clock, at: datetime, now: datetime, outages: Sequence[Span] = ()) -> Fired:
    """The act happened at `at` (<= now): the clock is met. A breach due before `at` is recorded first;

    one already recorded but due after `at` is corrected (`breach_corrected`).
    """
    raise NotImplementedError


def cancel(clock: Clock, at: datetime) -> Clock:
    """The act is no longer asked of anybody."""
    raise NotImplementedError


class PauseRefused(Exception):
    """The reason is not configured, or the clock is not running or already paused."""


def pause(clock: Clock, reason: str, at: datetime) -> Clock:
    """Pause for a configured reason; it ends by itself at the reason's limit. Raises PauseRefused."""
    raise NotImplementedError


def resume(clock: Clock, at: datetime) -> Clock:
    """End the running pause (no change without one)."""
    raise NotImplementedError


def outages_between(heartbeats: Sequence[datetime], now: datetime) -> tuple[Span, ...]:
    """Return the gaps of more than OUTAGE_GAP_SECONDS in ascending heartbeats, the last one up to `now`."""
    raise NotImplementedError


def recipient_of(
    tells: Recipient,
    policy: Policy,
    active: Mapping[str, bool],
    *,
    person_id: str | None,
    team_id: str | None,
    queue: str | None,
) -> str:
    """Return the person a rung tells today: rep, their manager, the team's head; else head, else queue owner."""
    raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Delay:
    """Seconds from trigger to acceptance or first touch, split: ours (until offered) and people's (since)."""

    system_seconds: float
    human_seconds: float


def delay_split(
    triggered_at: datetime, offered_at: datetime, queued: Sequence[Span], acted_at: datetime
) -> Delay:
    """Split [triggered_at, acted_at): time in a queue waiting for people counts as human, the rest before the offer as system."""
    raise NotImplementedError
