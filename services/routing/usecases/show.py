"""How hand-offs, clocks and people look from outside, as JSON-ready values."""

from datetime import datetime
from typing import Any

from services.routing.domain import sla
from services.routing.domain.lifecycle import Handoff
from services.routing.domain.policy import Person
from services.routing.domain.sla import Clock, Delay
from services.routing.usecases.person_row import PersonRow
from services.routing.usecases.take_late_evidence import LateEvidence

_HANDOFF = (
    "id", "lead_id", "cycle", "seq", "person_id", "team_id", "decision_id", "state", "assigned_at",
    "accepted_at", "contacted_at", "stage", "amount", "currency", "expected_close", "closed_at", "outcome",
    "reason", "note", "successor_id",
)  # fmt: skip
_CLOCK = (
    "id", "kind", "lead_id", "cycle", "handoff_id", "person_id", "queue", "state", "started_at", "stopped_at",
    "breached_at", "during_outage", "corrected_met_at",
)  # fmt: skip


def handoff_view(handoff: Handoff) -> dict[str, Any]:
    """Return a hand-off; `open` tells whether it can still be acted upon."""
    return {"open": handoff.is_open} | {name: getattr(handoff, name) for name in _HANDOFF}


def delay_view(handoff: Handoff, until_offer: Delay | None, now: datetime) -> dict[str, float] | None:
    """Return the seconds from the trigger to the first touch (the end, or now), ours and people's apart."""
    if until_offer is None:
        return None
    acted_at = handoff.contacted_at or handoff.closed_at or now
    held = max(0.0, (acted_at - handoff.assigned_at).total_seconds())
    return {
        "system_seconds": until_offer.system_seconds,
        "human_seconds": until_offer.human_seconds + held,
    }


def late_view(late: LateEvidence) -> dict[str, Any]:
    """Return what was recorded on a closed hand-off; `corrected` names the clocks that were met after all."""
    return {"occurred_at": late.at, "recorded": late.changed, "corrected": list(late.corrected)}


def clock_view(clock: Clock, now: datetime) -> dict[str, Any]:
    """Return a clock with its target instant and, while it runs, the seconds left (real time)."""
    due_at = sla.target_at(clock)
    running_pause = next((p for p in clock.pauses if p.ended_at is None and now < p.limit_at), None)
    return {name: getattr(clock, name) for name in _CLOCK} | {
        "due_at": due_at,
        "target_seconds": clock.terms.target_seconds,
        "seconds_left": (due_at - now).total_seconds() if clock.state == "running" else None,
        "paused": running_pause.reason if running_pause else None,
        "paused_seconds": sla.paused_seconds(clock, now),
        "warnings_fired": clock.warned,
        "calendar_version": clock.terms.calendar_version,
        "policy_version": clock.terms.policy_version,
    }


def person_view(row: PersonRow, person: Person | None, open_load: int) -> dict[str, Any]:
    """Return a person: what the policy says, and what moves. `in_policy` False: dropped, kept for history."""
    return {
        "id": row.person_id,
        "in_policy": person is not None,
        "name": person.name if person else None,
        "email": person.email if person else None,
        "timezone": person.timezone if person else None,
        "teams": list(person.teams) if person else [],
        "role": person.role if person else None,
        "skills": sorted(person.skills) if person else [],
        "weight": row.weight if row.weight is not None else (person.weight if person else 1),
        "daily_cap": person.daily_cap if person else None,
        "open_cap": person.open_cap if person else None,
        "online": row.online,
        "active": row.active,
        "paused_until": row.paused_until,
        "out_of_rotation_until": row.out_of_rotation_until,
        "time_off": [{"start": off.start, "end": off.end, "reason": off.reason} for off in row.time_off],
        "open_load": open_load,
        "version": row.version,
        "changed_at": row.changed_at,
    }
