"""What a decision reads of a lead, from its file."""

from datetime import datetime

from services.routing.domain.decide import LeadFacts
from services.routing.domain.lifecycle import DecisionWanted, EvaluateSnapshot
from services.routing.domain.sla import Delay, delay_split
from services.routing.usecases.lead_file import LeadFile
from shared.contracts.leads import LeadScored


def facts_of(file: LeadFile, wanted: DecisionWanted | None = None) -> LeadFacts:
    """Return the facts; a lead of which no snapshot came is an unscored one."""
    snapshot, record = file.snapshot, file.record
    return LeadFacts(
        lead_id=record.lead_id,
        cycle=record.cycle,
        grade=snapshot.grade if snapshot else "",
        fit=snapshot.fit if snapshot else 0,
        engagement=snapshot.engagement if snapshot else 0,
        hand_raise=snapshot.hand_raise if snapshot else False,
        level_reason=snapshot.level_reason if snapshot else None,
        traits=snapshot.traits if snapshot else {},
        rejected_by=record.rejected_by,
        tried=record.tried,
        excluded=wanted.excluded if wanted else frozenset(),
        queued_at=record.since,
        only_person=wanted.only_person if wanted else None,
        only_team=wanted.only_team if wanted else None,
        model_version=snapshot.model_version if snapshot else "",
        needs_data=snapshot.needs_data if snapshot else False,
        missing=tuple(snapshot.missing) if snapshot else (),
    )


def evaluation_of(snapshot: LeadScored) -> EvaluateSnapshot:
    """Return what the lifecycle asks of a snapshot."""
    return EvaluateSnapshot(snapshot.cycle, snapshot.enters, snapshot.holds, snapshot.do_not_contact)


def delay_until_offer(file: LeadFile, now: datetime) -> Delay | None:
    """Return what has passed since the trigger of an offer made now; waiting in a queue is people's delay.

    The trigger is the arrival of the event that qualified the lead. Where it came back from a rep, or had
    cooled down before, that is long ago: then it is the instant from which it was to be offered.
    """
    record = file.record
    since = (record.since or now) if record.state == "qualified" else now
    received = file.snapshot.trigger_received_at if file.snapshot else None
    if record.state != "qualified" or record.last_handoff_id is not None or record.recycles:
        received = since
    if received is None:
        return None
    queued = [(since, now)] if record.queue is not None else []
    return delay_split(min(received, now), now, queued, now)
