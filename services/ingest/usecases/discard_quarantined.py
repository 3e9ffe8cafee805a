"""Gives a parked item up, by name of the one who decided it; its record stays."""

from services.ingest.domain.intake import Parked
from services.ingest.usecases.ports import Intake
from services.ingest.usecases.replay_quarantined import NotHeld


async def discard_quarantined(item: Parked, intake: Intake, *, actor: str) -> None:
    """Discard a locked, held item; raise NotHeld where it is held no more."""
    if item.state != "held":
        raise NotHeld(item)
    await intake.release(item, event_id=None, repaired_body=None, actor=actor)
    if item.submission_id:
        await intake.settle(item.submission_id, "discarded")
        await intake.give_up_claim(item.submission_id)
