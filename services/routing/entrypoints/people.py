"""`GET|PATCH /v1/people`: presence, absence, weight, rotation; an ETag guards against lost changes."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from services.routing.domain.policy import TimeOff
from services.routing.entrypoints.acting import REFUSALS, problem_of_refusal
from services.routing.entrypoints.schemas import PersonPatch
from services.routing.usecases.change_person import change_person
from services.routing.usecases.ports import Page, Reads, Store
from shared.db.database import Database, Transaction
from shared.web.auth import ApiKey, require
from shared.web.etag import etag
from shared.web.problem import Problem, invalid_field

StoreOf = Callable[[Transaction, datetime | None], Store]
NOT_NULL = ("online", "active", "time_off")


def people_routes(database: Database, store_of: StoreOf, reads: Reads) -> APIRouter:
    """Return the routes about people."""
    router = APIRouter(prefix="/v1/people", tags=["people"])

    @router.get("")
    async def list_people(_: Annotated[ApiKey, Depends(require("read"))]) -> dict[str, Any]:
        """List all people with what they hold."""
        return {"data": await reads.people(), "next": None}

    @router.get("/{person_id}")
    async def get_person(
        person_id: str, response: Response, _: Annotated[ApiKey, Depends(require("read"))]
    ) -> Page:
        """Return one person; the ETag is for `PATCH`."""
        return await _show(reads, person_id, response)

    @router.patch("/{person_id}")
    async def patch_person(
        person_id: str,
        patch: PersonPatch,
        request: Request,
        response: Response,
        key: Annotated[ApiKey, Depends(require("work"))],
    ) -> Page:
        """Change a person; a person's own key may change that person only."""
        if key.actor is not None and key.actor != person_id and not key.allows("admin"):
            raise Problem(403, "not_your_name", "This key is a person's own; it may change that person only.")
        changes = _changes(patch)
        try:
            async with database.transaction() as tx:
                await change_person(
                    store_of(tx, None), person_id, changes, expected_version=_expected(request)
                )
        except REFUSALS as refusal:
            raise problem_of_refusal(refusal) from refusal
        return await _show(reads, person_id, response)

    return router


async def _show(reads: Reads, person_id: str, response: Response) -> Page:
    found = await reads.person(person_id)
    if found is None:
        raise Problem(404, "not_found", "There is nobody of that id.")
    response.headers["etag"] = etag(found["version"])
    return found


def _changes(patch: PersonPatch) -> dict[str, Any]:
    changes = {name: getattr(patch, name) for name in patch.model_fields_set}
    for name in NOT_NULL:
        if name in changes and changes[name] is None:
            raise invalid_field(f"/{name}", "must not be null")
    if "time_off" in changes:
        changes["time_off"] = [TimeOff(off.start, off.end, off.reason) for off in changes["time_off"]]
        if any(off.end <= off.start for off in changes["time_off"]):
            raise invalid_field("/time_off", "an absence must end after it starts")
    return changes


def _expected(request: Request) -> int | None:
    """Return the version that If-Match names; another form than our own ETag matches nothing."""
    given = request.headers.get("if-match")
    if given is None or given.strip() == "*":
        return None
    bare = given.strip().removeprefix("W/").strip('"')
    return int(bare) if bare.isdecimal() and len(bare) < 18 else -1
