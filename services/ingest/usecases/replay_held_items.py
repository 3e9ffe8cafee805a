"""Replays all held items of a reason or source, once a source is configured or the mapping mended."""

from dataclasses import dataclass

from services.ingest.domain.errors import Unmappable
from services.ingest.usecases.ports import IntakeStore
from services.ingest.usecases.replay_quarantined import Reading, replay_quarantined

# One transaction each: short enough that a form never waits for it.
CHUNK = 100


@dataclass(frozen=True, slots=True)
class Replayed:
    """How many became activities, how many stay; `next` goes on where the limit ended it."""

    replayed: int
    still_held: int
    next: str | None


async def replay_held_items(
    store: IntakeStore,
    *,
    reading: Reading,
    actor: str,
    code: str | None,
    source: str | None,
    after: str = "",
    limit: int = 1000,
) -> Replayed:
    """Replay held items in order of id, a chunk per transaction."""
    replayed = held = 0
    while replayed + held < limit:
        async with store.transaction() as intake:
            chunk = min(CHUNK, limit - replayed - held)
            items = await intake.lock_held(code=code, source=source, after=after, limit=chunk)
            for item in items:
                after = item.id
                try:
                    await replay_quarantined(item, intake, reading=reading, actor=actor)
                    replayed += 1
                except Unmappable as fault:
                    await intake.hold_again(
                        item, code=fault.code, detail=fault.detail, pointer=fault.pointer, actor=actor
                    )
                    held += 1
        if len(items) < chunk:
            return Replayed(replayed, held, None)
    return Replayed(replayed, held, after)
