"""`GET /v1/events`: the public feed, a dense sequence behind an opaque cursor; never a silent skip."""

import asyncio
from contextlib import suppress
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Query, Request, Response

from services.routing.usecases.ports import Page, Reads
from shared.outbox.feed_wakeup import FeedHints
from shared.web.auth import ApiKey, require
from shared.web.cursor import decode, encode
from shared.web.json_bytes import json_bytes
from shared.web.problem import Problem

# How often a request that waits looks when no hint has come, and how soon again when hints come thick.
LOOK_SECONDS = 1.0
LEAST_PAUSE_SECONDS = 0.02
LONGEST_WAIT_SECONDS = 25


def feed_routes(reads: Reads, hints: FeedHints) -> APIRouter:
    """Return the feed's route; `hints` wake a request that waits."""
    router = APIRouter(prefix="/v1/events", tags=["feed"])

    @router.get("")
    async def events(
        request: Request,
        _: Annotated[ApiKey, Depends(require("read"))],
        after: Annotated[str | None, Query(max_length=500, description="`next` of the page before.")] = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        types: Annotated[str, Query(max_length=2000, description="Event types, separated by commas.")] = "",
        wait: Annotated[
            int, Query(ge=0, le=LONGEST_WAIT_SECONDS, description="Seconds to wait for one.")
        ] = 0,
    ) -> Response:
        """Return events after the cursor, oldest first; without one, from the oldest kept."""
        request.scope["leadline.no_deadline"] = wait > 0
        wanted = [name for name in types.split(",") if name]
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + wait
        with hints.waiting() as grown:
            while True:
                grown.clear()
                looked_at = loop.time()
                epoch, start, last = await _start(reads, after)
                found = await reads.feed(start, limit, wanted)
                left = ends_at - loop.time()
                if found or left <= 0 or await request.is_disconnected():
                    break
                with suppress(TimeoutError):
                    await asyncio.wait_for(grown.wait(), min(left, LOOK_SECONDS))
                    # At once after a rest; not at every hint where they come thick.
                    await asyncio.sleep(max(0.0, looked_at + LEAST_PAUSE_SECONDS - loop.time()))
        # A full page ends at its last event; a short one has seen all up to the head read before it.
        seen = found[-1]["feed_seq"] if len(found) == limit else max([last, *(e["feed_seq"] for e in found)])
        return Response(
            json_bytes({"data": list(map(_event, found)), "next": encode("feed", epoch, max(seen, start))}),
            media_type="application/json",
        )

    return router


async def _start(reads: Reads, after: str | None) -> tuple[int, int, int]:
    """Return (epoch, sequence to read after, last sequence); 409 for another epoch, 410 for a gone place."""
    epoch, oldest, last = await reads.feed_range()
    resume = encode("feed", epoch, oldest - 1)
    if after is None:
        return epoch, oldest - 1, last
    known_epoch, sequence = decode("feed", after, (int, int), parameter="after")
    if known_epoch != epoch or sequence > last:
        raise Problem(
            409, "older_epoch", "The installation was restored since; go on from `resume_after`.",
            extra={"resume_after": encode("feed", epoch, min(sequence, last)), "epoch": epoch},
        )  # fmt: skip
    if sequence < oldest - 1:
        raise Problem(
            410, "events_gone", "Events after this cursor are no longer kept; the oldest are after `oldest`.",
            extra={"oldest": resume},
        )  # fmt: skip
    return epoch, sequence, last


def _event(row: Page) -> dict[str, Any]:
    """Return one event in CloudEvents' JSON shape, with its place in the feed."""
    return {
        "specversion": "1.0",
        "id": row["event_id"],
        "type": row["type"],
        "source": "leadline/routing",
        "time": row["time"],
        "subject": row["key"],
        "sequence": row["feed_seq"],
        "cursor": encode("feed", row["sent_epoch"], row["feed_seq"]),
        "datacontenttype": "application/json",
        "data": orjson.Fragment(row["payload"]),
    }
