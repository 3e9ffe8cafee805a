"""Scoring's doors for administrators: models, merges, unmerges, never-link edges."""

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from services.scoring.entrypoints.schemas import MergeRequest, NeverLinkRequest, UnmergeRequest
from services.scoring.usecases.errors import Refused
from services.scoring.usecases.merge_leads import merge_leads
from services.scoring.usecases.never_link import never_link
from services.scoring.usecases.ports import ConcurrentChange, Engine, Stores
from services.scoring.usecases.queries import ModelShelf
from services.scoring.usecases.unmerge_lead import unmerge_lead
from shared.config_file import ConfigError
from shared.db.database import Database, Transaction
from shared.web.auth import Admin, ApiKey, Reader
from shared.web.idempotency import Answer, read_ticket, run_once
from shared.web.problem import Problem

STATUS = {"unknown_lead": 404, "not_mergeable": 409, "not_splittable": 409}
ATTEMPTS = 3  # a concurrent change of the same leads is rare; it is over at the next attempt

OpenEngine = Callable[[Transaction], Awaitable[Engine]]
OpenStores = Callable[[Transaction], Stores]
Command = Callable[[Stores, Engine], Awaitable[dict[str, Any]]]


def merges_router(database: Database, open_stores: OpenStores, open_engine: OpenEngine) -> APIRouter:
    """Return the routes under `/v1/merges`."""
    routes = APIRouter(prefix="/v1/merges", tags=["merges"])

    async def run(request: Request, key: ApiKey, command: Command) -> Response:
        ticket = await read_ticket(request, key)

        async def work(tx: Transaction) -> Answer:
            return Answer.json(await command(open_stores(tx), await open_engine(tx)))

        for _ in range(ATTEMPTS):
            try:
                return (await run_once(database, ticket, work)).response()
            except ConcurrentChange:
                continue
            except Refused as refused:
                raise Problem(STATUS.get(refused.code, 409), refused.code, str(refused)) from refused
        raise Problem(503, "busy", "These leads are changing right now.", headers={"retry-after": "1"})

    @routes.post("")
    async def merge(body: MergeRequest, request: Request, key: Admin) -> Response:
        """Merge two leads; the older one's id survives, the other is redirected for good."""

        async def command(stores: Stores, engine: Engine) -> dict[str, Any]:
            return {"lead_id": await merge_leads(body.lead_id, body.other_lead_id, stores, engine)}

        return await run(request, key, command)

    @routes.post("/unmerge")
    async def unmerge(body: UnmergeRequest, request: Request, key: Admin) -> Response:
        """Give identities to a newly minted lead; the two sides are never joined again."""

        async def command(stores: Stores, engine: Engine) -> dict[str, Any]:
            part = {reference.identity() for reference in body.identities}
            done = await unmerge_lead(body.lead_id, part, stores, engine, actor=key.actor or key.id)
            return {"lead_id": done.lead_id, "new_lead_id": done.new_lead_id}

        return await run(request, key, command)

    @routes.post("/never-link")
    async def forbid(body: NeverLinkRequest, request: Request, key: Admin) -> Response:
        """Say that two identities are two persons, whatever links them."""

        async def command(stores: Stores, engine: Engine) -> dict[str, Any]:
            ends = body.one.identity(), body.other.identity()
            await never_link(*ends, stores, engine, actor=key.actor or key.id)
            return {"never_linked": [list(end) for end in ends]}

        return await run(request, key, command)

    return routes


def models_router(shelf: ModelShelf) -> APIRouter:
    """Return the routes under `/v1/models`."""
    routes = APIRouter(prefix="/v1/models", tags=["models"])

    @routes.get("")
    async def show(_: Reader) -> dict[str, Any]:
        """Return the active model as YAML text, and all versions."""
        versions = await shelf.listed()
        active = versions[0]
        return {
            "version": active.version,
            "text": active.document,
            "published_at": active.published_at,
            "actor": active.actor,
            "versions": [
                {"version": v.version, "published_at": v.published_at, "actor": v.actor} for v in versions
            ],
        }

    @routes.get("/{version}")
    async def show_version(version: int, _: Reader) -> dict[str, Any]:
        """Return one published version."""
        for found in await shelf.listed():
            if found.version == version:
                return {
                    "version": found.version,
                    "text": found.document,
                    "published_at": found.published_at,
                    "actor": found.actor,
                }
        raise Problem(404, "unknown_model_version", "No model has been published under this number.")

    @routes.put("")
    async def publish(request: Request, key: Admin) -> dict[str, Any]:
        """Publish a model (YAML text); all leads are scored anew in the background."""
        try:
            text = (await request.body()).decode()
            return dict(await shelf.publish(text, actor=key.actor or key.id))
        except UnicodeDecodeError:
            raise Problem(422, "invalid_model", "The body is not UTF-8 text.") from None
        except ConfigError as refused:
            errors = [
                {"pointer": f.path, "detail": f.message, "line": f.line, "fix": f.fix, "severity": f.severity}
                for f in refused.findings
            ]
            raise Problem(422, "invalid_model", "The model has faults.", errors=errors) from refused

    return routes
