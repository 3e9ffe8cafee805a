"""Ingest's API for people and programs: quarantine, receipts, sources."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal, Protocol

from fastapi import APIRouter, Query, Request, Response

from services.ingest.domain.activity import Contact
from services.ingest.domain.errors import Unmappable
from services.ingest.domain.form_body import text_of
from services.ingest.domain.intake import Parked
from services.ingest.domain.plain_values import Shape
from services.ingest.entrypoints.schemas import BulkReplay, Repair
from services.ingest.usecases.discard_quarantined import discard_quarantined
from services.ingest.usecases.follow_sources import CurrentSources, SourcesUnavailable
from services.ingest.usecases.ports import Intake, IntakeStore, SourceConfigs
from services.ingest.usecases.push_sources import push_sources
from services.ingest.usecases.replay_held_items import replay_held_items
from services.ingest.usecases.replay_quarantined import (
    Correction,
    NotHeld,
    Reading,
    replay_quarantined,
    unread_fields,
)
from shared.config_file import ConfigError
from shared.web import cursor
from shared.web.auth import Admin, ApiKey, Reader
from shared.web.problem import Problem, unavailable

_LIST = "quarantine"


class Quarantine(Protocol):
    """Reads of quarantine and receipts; see `adapters/postgres_quarantine.py`."""

    async def list_items(
        self, *, state: str | None, code: str | None, source: str | None, after: Any, limit: int
    ) -> Any: ...

    async def item(self, id: str) -> Parked | None: ...

    async def receipt(self, submission_id: str) -> Any: ...


@dataclass(frozen=True, slots=True)
class Api:
    """Everything that ingest's API needs."""

    store: IntakeStore
    quarantine: Quarantine
    configs: SourceConfigs
    sources: CurrentSources
    contact: Contact
    shape: Shape

    async def reading(self) -> Reading:
        """Return how parked items are read again."""
        try:
            return Reading(await self.sources.get(), self.contact, self.shape)
        except SourcesUnavailable:
            raise unavailable("sources_unavailable", "The sources cannot be read now. Try again.") from None

    @asynccontextmanager
    async def locked(self, id: str) -> AsyncIterator[tuple[Parked, Intake]]:
        """Open a transaction that holds the item's lock."""
        async with self.store.transaction() as intake:
            found = await intake.lock_parked([id])
            if not found:
                raise _no_such_item()
            try:
                yield found[0], intake
            except NotHeld as not_held:
                item = not_held.item
                raise Problem(
                    409,
                    "not_held",
                    f"The item is already {item.state}.",
                    extra={"state": item.state, "event_id": item.event_id},
                ) from None


def routes(api: Api) -> APIRouter:
    """Return the routes under /v1/quarantine, /v1/receipts and /v1/sources."""
    router = APIRouter()
    _add_quarantine_reads(router, api)
    _add_quarantine_acts(router, api)
    _add_sources(router, api)
    return router


def _add_quarantine_reads(router: APIRouter, api: Api) -> None:
    @router.get("/v1/quarantine")
    async def list_quarantine(
        _key: Reader,
        state: Annotated[Literal["held", "replayed", "discarded", "any"], Query()] = "held",
        reason: Annotated[str | None, Query(max_length=100)] = None,
        source: Annotated[str | None, Query(max_length=100)] = None,
        limit: cursor.PageSize = 50,
        after: Annotated[cursor.PageCursor, Query(alias="cursor")] = None,
    ) -> dict[str, Any]:
        """List parked items, oldest first, without their bodies."""
        place = cursor.decode(_LIST, after, (datetime, str)) if after else None
        items = await api.quarantine.list_items(
            state=None if state == "any" else state, code=reason, source=source, after=place, limit=limit + 1
        )
        return cursor.page(items, limit, lambda item: cursor.encode(_LIST, item["parked_at"], item["id"]))

    @router.get("/v1/quarantine/{id}")
    async def show_quarantined(_key: Reader, id: str) -> dict[str, Any]:
        """Show one parked item with its body."""
        item = await api.quarantine.item(id)
        if item is None:
            raise _no_such_item()
        return _shown(item)

    @router.get("/v1/receipts/{submission_id}")
    async def show_receipt(_key: Reader, submission_id: str) -> dict[str, Any]:
        """Show a submission as it came in, and what became of it."""
        receipt = await api.quarantine.receipt(submission_id)
        if receipt is None:
            raise Problem(404, "no_such_receipt", "There is no receipt with this id.")
        return {**receipt, "raw": text_of(receipt["raw"])}


def _add_quarantine_acts(router: APIRouter, api: Api) -> None:
    @router.post("/v1/quarantine/replay")
    async def replay_many(key: Admin, body: BulkReplay) -> dict[str, Any]:
        """Replay all held items of a reason or source."""
        done = await replay_held_items(
            api.store,
            reading=await api.reading(),
            actor=_actor(key),
            code=body.reason,
            source=body.source,
            after=body.after,
            limit=body.limit,
        )
        return {"replayed": done.replayed, "still_held": done.still_held, "next": done.next}

    @router.post("/v1/quarantine/{id}/replay")
    async def replay(key: Admin, id: str) -> dict[str, Any]:
        """Read one item again, as it is, by the rules of today."""
        return await _replay(api, key, id, None)

    @router.post("/v1/quarantine/{id}/repair")
    async def repair(key: Admin, id: str, body: Repair) -> dict[str, Any]:
        """Correct one item and replay it; 422 says what is still wrong."""
        if body.fields and body.body is None and (item := await api.quarantine.item(id)):
            _refuse_slips(unread_fields(item, body.fields, (await api.reading()).sources))
        return await _replay(api, key, id, Correction(body.body, body.fields))

    @router.post("/v1/quarantine/{id}/discard")
    async def discard(key: Admin, id: str) -> dict[str, Any]:
        """Give one item up; its record stays."""
        async with api.locked(id) as (item, intake):
            await discard_quarantined(item, intake, actor=_actor(key))
        return {"id": id, "state": "discarded"}


def _add_sources(router: APIRouter, api: Api) -> None:
    @router.get("/v1/sources")
    async def show_sources(_key: Reader) -> Response:
        """Return the active sources file."""
        active = await api.configs.active()
        if active is None:
            raise Problem(404, "no_sources", "No sources file is active yet.")
        version, document, _ = active
        return Response(document, media_type="application/yaml", headers={"etag": f'"{version}"'})

    @router.put("/v1/sources")
    async def replace_sources(key: Admin, request: Request) -> dict[str, Any]:
        """Check a sources file and make it the active one."""
        text = text_of(await request.body())
        try:
            sources = await push_sources(text, api.configs, actor=_actor(key))
        except ConfigError as refused:
            errors = [
                {"pointer": f.path, "detail": f.message, "line": f.line, "fix": f.fix, "file": f.file}
                for f in refused.findings
            ]
            raise Problem(422, "invalid_sources", "The file was refused.", errors=errors) from None
        api.sources.replace(sources, text)
        return {"version": sources.version, "sources": sorted(sources.by_name)}


async def _replay(api: Api, key: ApiKey, id: str, correction: Correction | None) -> dict[str, Any]:
    reading = await api.reading()
    fault: Unmappable | None = None
    event_id: str | None = None
    async with api.locked(id) as (item, intake):
        try:
            event_id = await replay_quarantined(
                item, intake, reading=reading, actor=_actor(key), correction=correction
            )
        except Unmappable as still:
            fault = still
            await intake.hold_again(
                item, code=still.code, detail=still.detail, pointer=still.pointer, actor=_actor(key)
            )
    if fault is not None:
        errors = [{"pointer": fault.pointer, "detail": fault.detail}]
        raise Problem(422, fault.code, "The item stays in quarantine.", errors=errors)
    return {"id": id, "state": "replayed", "event_id": event_id}


def _refuse_slips(unread: dict[str, str | None]) -> None:
    if not unread:
        return
    errors = [
        {
            "pointer": f"/fields/{name}",
            "detail": "the source reads no field of this name"
            + (f"; did you mean `{meant}`?" if meant else ""),
        }
        for name, meant in unread.items()
    ]
    raise Problem(422, "unknown_field", "Nothing was changed.", errors=errors)


def _shown(item: Parked) -> dict[str, Any]:
    return {
        "id": item.id,
        "door": item.door,
        "source": item.source,
        "submission_id": item.submission_id,
        "message_id": item.message_id,
        "received_at": item.doorstep.arrival.received_at,
        "parked_at": item.parked_at,
        "code": item.code,
        "detail": item.detail,
        "pointer": item.pointer,
        "state": item.state,
        "attempts": item.attempts,
        "event_id": item.event_id,
        "body": text_of(item.body),
        "repaired_body": text_of(item.repaired_body) if item.repaired_body is not None else None,
        "arrival": item.doorstep.to_json(),
    }


def _actor(key: ApiKey) -> str:
    return key.actor or key.id


def _no_such_item() -> Problem:
    return Problem(404, "no_such_item", "There is no parked item with this id.")
