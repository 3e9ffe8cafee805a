"""Puts ingest together: pool, bus, doors, API, roles."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from starlette.types import ASGIApp

from services.ingest.adapters.contact_points import CONTACT
from services.ingest.adapters.guarded_log import GuardedLog
from services.ingest.adapters.postgres_intake import PostgresIntakeStore
from services.ingest.adapters.postgres_quarantine import PostgresQuarantine
from services.ingest.adapters.postgres_sources import PostgresSourceConfigs
from services.ingest.adapters.retention import Retention
from services.ingest.adapters.views import IngestViews
from services.ingest.domain.plain_values import Shape
from services.ingest.entrypoints.forms import FormDoor
from services.ingest.entrypoints.hot import hot_paths
from services.ingest.entrypoints.http import Api, routes
from services.ingest.entrypoints.openapi import paths_in_front
from services.ingest.entrypoints.site import Site
from services.ingest.entrypoints.tracking import FindSender, KeysUnavailable, Sender, TrackingDoor
from services.ingest.settings import IngestSettings
from services.ingest.usecases.accept_messages import Rules
from services.ingest.usecases.follow_sources import CurrentSources
from services.ingest.usecases.push_sources import version_of
from shared.bus.port import Bus
from shared.clock import Clock
from shared.db.database import Database
from shared.foundation import Foundation, open_foundation
from shared.outbox.relay import Relay
from shared.runtime import RoleName, Runner, WiredService
from shared.web.app import create_app, dispatch, limits_of
from shared.web.auth import Authenticate
from shared.web.problem import Problem

DEFAULT_SOURCES = Path(__file__).parent / "defaults" / "sources.yaml"
# Sent events stay in the outbox for as long as the topic keeps them.
OUTBOX_KEPT = timedelta(days=7)
DEFAULT_SOURCE = "default"


@asynccontextmanager
async def wire(
    settings: IngestSettings, *, bus: Bus | None = None, clock: Clock | None = None
) -> AsyncIterator[WiredService]:
    """Open ingest; it closes when the block ends. `bus` is opened from the settings where none is given."""
    async with open_foundation(settings, "ingest", bus=bus, clock=clock) as ground:
        configs = PostgresSourceConfigs(ground.database)
        default = DEFAULT_SOURCES.read_text(encoding="utf-8")
        await configs.install_default(version_of(default), default)
        quarantine = PostgresQuarantine(
            ground.database, outbox_kept=OUTBOX_KEPT, receipts_kept=timedelta(days=settings.receipt_days)
        )
        parts = _Parts(settings, ground, configs, quarantine, epoch=await _epoch(ground.database))
        yield WiredService(
            name="ingest",
            api=_api(parts),
            views=IngestViews(quarantine, ground.bus),
            roles=_roles(settings, ground),
        )


async def _epoch(database: Database) -> int:
    async with database.connection() as connection:
        return int(await connection.fetchval("SELECT platform.current_epoch()"))


@dataclass(frozen=True, slots=True)
class _Parts:
    """What the HTTP application is made of."""

    settings: IngestSettings
    ground: Foundation
    configs: PostgresSourceConfigs
    quarantine: PostgresQuarantine
    epoch: int


def _api(parts: _Parts) -> ASGIApp:
    settings, ground = parts.settings, parts.ground
    store = PostgresIntakeStore(ground.database)
    sources = CurrentSources(parts.configs)
    shape = Shape(settings.max_event_depth, settings.max_event_values)
    find_sender = sender_finder(ground.keys.find)
    tracking = TrackingDoor(
        find_sender=find_sender,
        log=GuardedLog(ground.bus, timeout_seconds=settings.bus_timeout_seconds),
        store=store,
        rules=Rules(CONTACT, shape, settings.max_event_bytes),
        clock=ground.clock,
        epoch=parts.epoch,
        max_batch_bytes=settings.max_batch_bytes,
        max_batch_messages=settings.max_batch_messages,
    )
    forms = FormDoor(
        sources=sources,
        store=store,
        contact=CONTACT,
        shape=shape,
        clock=ground.clock,
        find_sender=find_sender,
        max_bytes=settings.max_form_bytes,
    )
    app = create_app("Leadline ingest", authenticate=ground.keys.find, ready=ground.ready)
    app.paths_in_front = paths_in_front()
    app.include_router(routes(Api(store, parts.quarantine, parts.configs, sources, CONTACT, shape)))
    hot = hot_paths(
        tracking,
        forms,
        Site(settings.site_write_key),
        public_url=settings.public_url if settings.public_url_in_settings else None,
    )
    return dispatch(app, service="ingest", hot=hot, limits=limits_of(settings))


def sender_finder(authenticate: Authenticate) -> FindSender:
    """Return how a key is looked up: None for an unknown one, KeysUnavailable if it cannot be told."""

    async def find(token: str) -> Sender | None:
        try:
            key = await authenticate(token)
        except Problem as problem:
            if problem.status == 401:
                return None
            raise KeysUnavailable from problem
        return Sender(source=key.source or DEFAULT_SOURCE, may_send=key.allows("ingest"))

    return find


def _roles(settings: IngestSettings, ground: Foundation) -> Mapping[RoleName, Runner]:
    return {
        "relay": Relay(ground.bus, ground.database, keep=OUTBOX_KEPT),
        "timer": Retention(ground.database, keep=timedelta(days=settings.receipt_days)),
    }
