"""Scoring's HTTP doors: leads, their timelines and scores. Points on the wire are thousandths of a point."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query

from services.scoring.usecases.queries import LeadFilter, LeadReads
from services.scoring.usecases.rescore_leads import score_lines
from shared.web.auth import Reader
from shared.web.cursor import PageCursor, PageSize, decode, encode, page
from shared.web.instant import Instant
from shared.web.problem import Problem

Email = Annotated[str | None, Query(max_length=320, description="A canonical e-mail address of the lead.")]
Domain = Annotated[str | None, Query(max_length=255, description="The company's registrable domain.")]
Grade = Annotated[str | None, Query(pattern="^[A-D][1-4]$", description="Fit band and engagement band.")]
Points = Annotated[int | None, Query(ge=0, le=100, description="Least score, in whole points.")]
Anonymous = Annotated[bool, Query(description="List visitors that nobody could contact, too.")]


def leads_router(reads: LeadReads) -> APIRouter:
    """Return the routes under `/v1/leads`."""
    routes = APIRouter(prefix="/v1/leads", tags=["leads"])
    _add_list(routes, reads)
    _add_pages(routes, reads)
    return routes


def _add_list(routes: APIRouter, reads: LeadReads) -> None:
    @routes.get("")
    async def list_leads(
        _: Reader,
        email: Email = None,
        domain: Domain = None,
        q: Domain = None,
        grade: Grade = None,
        min_fit: Points = None,
        min_engagement: Points = None,
        enters: bool | None = None,
        anonymous: Anonymous = False,
        cursor: PageCursor = None,
        limit: PageSize = 50,
    ) -> dict[str, Any]:
        """List leads, youngest first. `q`: an e-mail address, a company domain or how a lead id begins."""
        found = (q or "").strip().lower()
        is_id, is_email = found.startswith("ld_"), "@" in found
        wanted = LeadFilter(
            email=(email or (found if is_email else "")).strip().lower() or None,
            domain=(domain or ("" if is_email or is_id else found)).strip().lower() or None,
            id_prefix=found if is_id else None,
            grade=grade,
            min_fit=_milli(min_fit),
            min_engagement=_milli(min_engagement),
            enters=enters,
            contactable=None if anonymous else True,
        )
        after = decode("leads", cursor, (datetime, str)) if cursor else None
        leads = await reads.page(wanted, after and (after[0], after[1]), limit + 1)
        return page(leads, limit, lambda lead: encode("leads", lead["created_at"], lead["lead_id"]))


def _add_pages(routes: APIRouter, reads: LeadReads) -> None:
    async def existing(lead_id: str) -> str:
        survivor = await reads.survivor(lead_id)
        if survivor is None:
            raise Problem(404, "unknown_lead", "No lead has this id.")
        return survivor

    @routes.get("/{lead_id}")
    async def show_lead(lead_id: str, _: Reader) -> dict[str, Any]:
        """Return one lead: identities, traits, standing. A merged id is answered by its survivor."""
        survivor = await existing(lead_id)
        lead = await reads.lead(survivor)
        if lead is None:
            raise Problem(404, "unknown_lead", "No lead has this id.")
        return _redirected(lead_id, survivor) | lead

    @routes.get("/{lead_id}/timeline")
    async def show_timeline(
        lead_id: str, _: Reader, cursor: PageCursor = None, limit: PageSize = 50
    ) -> dict[str, Any]:
        """Return a lead's activity, latest first, with the signals it counts for."""
        survivor = await existing(lead_id)
        after = decode("timeline", cursor, (datetime, str)) if cursor else None
        rows = await reads.timeline(survivor, after and (after[0], after[1]), limit + 1)
        return _redirected(lead_id, survivor) | page(
            rows, limit, lambda row: encode("timeline", row["occurred_at"], row["event_id"])
        )

    @routes.get("/{lead_id}/score")
    async def show_score(lead_id: str, _: Reader, as_of: Instant | None = None) -> dict[str, Any]:
        """Return the exact score with its lines, now or with activity up to `as_of`."""
        survivor = await existing(lead_id)
        found = await reads.score(survivor, as_of)
        if found is None:
            raise Problem(404, "unknown_lead", "No lead has this id.")
        lines = [asdict_line for line in score_lines(found.score) if (asdict_line := _line(line))]
        score = {name: value for name, value in asdict(found.score).items() if name != "lines"}
        return _redirected(lead_id, survivor) | {
            "lead_id": found.lead_id, "cycle": found.cycle, "cut": found.cut, **score, "lines": lines,
        }  # fmt: skip


def _line(line: Any) -> dict[str, Any]:
    return {name: getattr(line, name) for name in line.__struct_fields__}


def _milli(points: int | None) -> int | None:
    return None if points is None else points * 1000


def _redirected(asked: str, survivor: str) -> dict[str, Any]:
    return {"merged_into": survivor} if asked != survivor else {}
