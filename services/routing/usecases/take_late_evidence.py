"""Record what is told of a closed hand-off: its breach is corrected, its reassignment stands."""

from dataclasses import dataclass
from datetime import datetime

from services.routing.domain import sla
from services.routing.domain.late_evidence import clocks_met_by, note_on_closed
from services.routing.domain.lifecycle import Command, Handoff
from services.routing.domain.policy import ClockKind
from services.routing.usecases.desk import Desk
from services.routing.usecases.keep_clocks import settle
from services.routing.usecases.lead_file import LeadFile
from services.routing.usecases.ports import Store


@dataclass(frozen=True, slots=True)
class LateEvidence:
    """What was recorded: the hand-off as it is known now, and the clocks whose breach was corrected."""

    handoff: Handoff
    at: datetime
    changed: bool
    corrected: tuple[ClockKind, ...] = ()


async def take_late_evidence(
    store: Store, desk: Desk, file: LeadFile, handoff: Handoff, command: Command
) -> LateEvidence | None:
    """Note on a closed hand-off what happened at `desk.evidence_at`; None if that was not while it was open.

    `file` is the locked lead that the hand-off belongs to by now. Save the desk if it changed.
    """
    at = desk.evidence_at
    noted = note_on_closed(handoff, command, at) if at is not None else None
    if at is None or noted is None:
        return None
    if noted == handoff:
        return LateEvidence(handoff, at, changed=False)
    desk.closed[handoff.id] = noted
    desk.touched.add(file.lead_id)
    corrected = []
    for clock in await store.clocks_of(handoff.id):
        if clock.kind in clocks_met_by(command):
            stopped = sla.stop(clock, at, desk.now, desk.terms.outages)
            settle(desk, file, stopped.clock, stopped.events)
            corrected += [clock.kind for event in stopped.events if event.kind == "breach_corrected"]
    return LateEvidence(noted, at, changed=True, corrected=tuple(corrected))
