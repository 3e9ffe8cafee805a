"""Evidence told after a hand-off was closed, of what happened while it was open: kept, nothing is undone."""

from dataclasses import replace
from datetime import datetime

from services.routing.domain.lifecycle_commands import Accept, Command, Contact
from services.routing.domain.lifecycle_records import Handoff
from services.routing.domain.policy import ClockKind


def clocks_met_by(command: Command) -> tuple[ClockKind, ...]:
    """Return the clocks that an act meets: contact implies acceptance; none for what is no evidence."""
    if isinstance(command, Contact):
        return ("accept", "first_touch")
    return ("accept",) if isinstance(command, Accept) else ()


def note_on_closed(handoff: Handoff, command: Command, at: datetime) -> Handoff | None:
    """Return the closed hand-off with the act noted at `at`; equal to it where that is known already.

    As on an open one, what happened earlier counts from the hand-off on. None where it happened after the
    end, or is nothing that can be told later: then it belongs to the successor, or is an illegal move.
    """
    if handoff.closed_at is None or at >= handoff.closed_at or not clocks_met_by(command):
        return None
    at = max(at, handoff.assigned_at)
    noted = replace(handoff, accepted_at=min(handoff.accepted_at or at, at))
    if isinstance(command, Contact):
        noted = replace(noted, contacted_at=min(handoff.contacted_at or at, at))
    return noted
