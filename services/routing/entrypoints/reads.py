"""The reads: hand-offs, clocks, decisions, queues, lifecycle."""

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query

from services.routing.usecases.ports import Page, Reads
from shared.web.auth import ApiKey, require
from shared.web.cursor import PageCursor, PageSize, decode, encode, page
from shared.web.instant import Instant
from shared.web.problem import Problem

Key = Annotated[ApiKey, Depends(require("read"))]
Text = Annotated[str | None, Query(max_length=200)]


def read_routes(reads: Reads) -> APIRouter:
    """Return the read routes."""
    router = APIRouter(prefix="/v1")
    _add_handoffs(router, reads)
    _add_clocks(router, reads)
    _add_records(router, reads)
    return router


def _add_handoffs(router: APIRouter, reads: Reads) -> None:
    @router.get("/handoffs", tags=["hand-offs"])
    async def list_handoffs(
        _: Key,
        person: Text = None,
        lead: Text = None,
        state: Text = None,
        is_open: Annotated[bool | None, Query(alias="open")] = None,
        cursor: PageCursor = None,
        limit: PageSize = 50,
    ) -> dict[str, Any]:
        """List hand-offs, newest first."""
        after = decode("handoffs", cursor, (datetime, str)) if cursor else None
        filters = {"person": person, "lead": lead, "state": state, "open": is_open}
        found = await reads.handoffs(filters, after, limit)
        return page(found, limit, lambda last: encode("handoffs", last["assigned_at"], last["id"]))

    @router.get("/handoffs/{handoff_id}", tags=["hand-offs"])
    async def get_handoff(_: Key, handoff_id: str) -> Page:
        """Return one hand-off with all that a rep needs for the first call."""
        return _found(await reads.handoff(handoff_id))


def _add_clocks(router: APIRouter, reads: Reads) -> None:
    @router.get("/sla/clocks", tags=["sla"])
    async def list_clocks(
        _: Key,
        person: Text = None,
        is_open: Annotated[bool | None, Query(alias="open")] = None,
        breached: bool | None = None,
        due_before: Instant | None = None,
        cursor: PageCursor = None,
        limit: PageSize = 50,
    ) -> dict[str, Any]:
        """List SLA clocks by the instant they are due; `server_now` is the instant they were read."""
        after = decode("clocks", cursor, (datetime, str)) if cursor else None
        filters = {"person": person, "open": is_open, "breached": breached, "due_before": due_before}
        found = await reads.clocks(filters, after, limit)
        shown = page(found, limit, lambda last: encode("clocks", last["due_at"], last["id"]))
        return shown | {"server_now": datetime.now(UTC)}


def _add_records(router: APIRouter, reads: Reads) -> None:
    @router.get("/decisions/{decision_id}", tags=["decisions"])
    async def get_decision(_: Key, decision_id: str) -> Page:
        """Return why a lead went where it went: inputs, rule path, candidates, versions."""
        return _found(await reads.decision(decision_id))

    @router.get("/queues", tags=["queues"])
    async def list_queues(_: Key) -> dict[str, Any]:
        """Return the queues with their length, oldest lead and next wake."""
        return {"data": await reads.queues(), "next": None}

    @router.get("/lifecycle/{lead_id}", tags=["lifecycle"])
    async def get_lead(_: Key, lead_id: str) -> Page:
        """Return a lead's lifecycle; a merged id answers with its survivor."""
        return _found(await reads.lead(lead_id))


def _found(value: Page | None) -> Page:
    if value is None:
        raise Problem(404, "not_found", "There is nothing of that id.")
    return value
