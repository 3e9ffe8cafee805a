"""Puts ingest together: pool, bus, doors, API, roles."""

import asyncio
import math
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

from starlette.types import ASGIApp

from services.ingest.adapters.contact_points import CONTACT
from services.ingest.adapters.detour import (
    Settling,
    SpooledIntake,
    SpooledLog,
    bus_drainer,
    intake_drainer,
)
from services.ingest.adapters.guards import Breaker, GuardedLog, GuardedStore, Patience
from services.ingest.adapters.last_good_sources import LastGoodSources
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
from services.ingest.usecases.ports import IntakeStore, Log, Reserve
from services.ingest.usecases.push_sources import version_of
from shared.bus.port import Bus
from shared.clock import Clock
from shared.db.database import Database
from shared.foundation import Foundation, open_foundation, writable
from shared.last_start import LastStart, Told
from shared.outbox.relay import Relay
from shared.runtime import RoleName, Runner, WiredService
from shared.spool.drain import Drainer, NotYet
from shared.spool.spool import open_spool
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
    memory = LastStart(settings.data_dir / "ingest-last-start.json")
    last = memory.read() if settings.spool else None
    async with open_foundation(settings, "ingest", bus=bus, clock=clock, last=last) as ground:
        configs = PostgresSourceConfigs(ground.database)
        told = ground.last or await _ask(ground, configs)
        if ground.last is None:
            memory.write(told)
        quarantine = PostgresQuarantine(
            ground.database, outbox_kept=OUTBOX_KEPT, receipts_kept=timedelta(days=settings.receipt_days)
        )
        last_good = LastGoodSources(settings.data_dir / "ingest-sources-last-good.yaml")
        sources = CurrentSources(configs, last_good=last_good)
        shape = Shape(settings.max_event_depth, settings.max_event_values)
        async with _ways(settings, ground, sources, shape) as ways:
            parts = _Parts(settings, ground, configs, sources, shape, quarantine, ways, told.epoch)
            yield WiredService(
                name="ingest",
                api=_api(parts),
                views=IngestViews(quarantine, ground.bus, ways.spool),
                roles=_roles(settings, ground),
            )


async def _ask(ground: Foundation, configs: PostgresSourceConfigs) -> Told:
    """Install the default sources where there are none; return what a start has to know."""
    default = DEFAULT_SOURCES.read_text(encoding="utf-8")
    await configs.install_default(version_of(default), default)
    async with ground.database.connection() as connection:
        return Told(ground.role, int(await connection.fetchval("SELECT platform.current_epoch()")))


@dataclass(frozen=True, slots=True)
class _Ways:
    """How what comes in gets to bus and database. `spool`: the folder of what goes over the disk, if any."""

    log: Log
    store: IntakeStore
    reserve: Reserve | None = None
    spool: Path | None = None


@asynccontextmanager
async def _ways(
    settings: IngestSettings, ground: Foundation, sources: CurrentSources, shape: Shape
) -> AsyncIterator[_Ways]:
    store = PostgresIntakeStore(ground.database)
    if not settings.spool:
        breaker = Breaker("bus", Patience(settings.bus_timeout_seconds))
        yield _Ways(GuardedLog(ground.bus, breaker), store)
        return
    # Nobody has to try whether it is back: the drainers find out.
    patience = Patience(settings.spool_after_seconds, failures_to_open=1, open_seconds=math.inf)
    to_bus, to_database = Breaker("bus", patience), Breaker("database", patience)
    folder = settings.data_dir / "spool"
    async with (
        open_spool(folder / "activity", most_bytes=settings.spool_max_bytes) as activity,
        open_spool(folder / "intake", most_bytes=settings.spool_max_bytes) as intake,
        _running(bus_drainer(activity, ground.bus, to_bus)),
        _running(
            intake_drainer(
                intake, Settling(store, sources, CONTACT, shape), to_database, partial(_look, ground.database)
            )
        ),
    ):
        yield _Ways(
            SpooledLog(GuardedLog(ground.bus, to_bus), activity),
            GuardedStore(store, to_database),
            SpooledIntake(intake),
            folder,
        )


@asynccontextmanager
async def _running(drainer: Drainer) -> AsyncIterator[None]:
    """Drain in every process of ingest, whatever its roles: what a dead one has left waits for nobody."""
    stop = asyncio.Event()
    running = asyncio.create_task(drainer.run(stop))
    try:
        yield
    finally:
        stop.set()
        # A batch under way is repeated by whoever drains next.
        running.cancel()
        await asyncio.wait([running])


async def _look(database: Database) -> None:
    state = await writable(database)
    if state is not True:
        raise NotYet(f"the database {state}")


@dataclass(frozen=True, slots=True)
class _Parts:
    """What the HTTP application is made of."""

    settings: IngestSettings
    ground: Foundation
    configs: PostgresSourceConfigs
    sources: CurrentSources
    shape: Shape
    quarantine: PostgresQuarantine
    ways: _Ways
    epoch: int

    async def ready(self) -> Mapping[str, bool | str]:
        """Return the checks of `/readyz`: with a spool it takes in while the database is away."""
        found = await self.ground.ready()
        return found if self.ways.reserve is None or all(one is True for one in found.values()) else {}


def _api(parts: _Parts) -> ASGIApp:
    settings, ground, ways = parts.settings, parts.ground, parts.ways
    find_sender = sender_finder(ground.keys.find)
    tracking = TrackingDoor(
        find_sender=find_sender,
        log=ways.log,
        store=ways.store,
        reserve=ways.reserve,
        rules=Rules(CONTACT, parts.shape, settings.max_event_bytes),
        clock=ground.clock,
        epoch=parts.epoch,
        max_batch_bytes=settings.max_batch_bytes,
        max_batch_messages=settings.max_batch_messages,
    )
    forms = FormDoor(
        sources=parts.sources,
        store=ways.store,
        reserve=ways.reserve,
        contact=CONTACT,
        shape=parts.shape,
        clock=ground.clock,
        find_sender=find_sender,
        max_bytes=settings.max_form_bytes,
    )
    app = create_app("Leadline ingest", authenticate=ground.keys.find, ready=parts.ready)
    app.paths_in_front = paths_in_front()
    store = PostgresIntakeStore(ground.database)
    app.include_router(
        routes(Api(store, parts.quarantine, parts.configs, parts.sources, CONTACT, parts.shape))
    )
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
