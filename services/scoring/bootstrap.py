"""Puts scoring together: pool, bus, default model, doors, roles."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from services.scoring.adapters.bots import bot_verdict
from services.scoring.adapters.engines import Engines, PostgresModelShelf
from services.scoring.adapters.postgres_models import PostgresModels
from services.scoring.adapters.postgres_reads import PostgresReads
from services.scoring.adapters.stores import postgres_stores
from services.scoring.adapters.views import ScoringViews
from services.scoring.entrypoints.events import ActivityHandler, HandoffHandler, TopicHandler
from services.scoring.entrypoints.http import leads_router
from services.scoring.entrypoints.http_admin import merges_router, models_router
from services.scoring.entrypoints.timers import ScoreTimers
from services.scoring.settings import ScoringSettings
from shared.bus.memory import MemoryBus
from shared.bus.port import Bus
from shared.bus.postgres import open_postgres_bus
from shared.clock import Clock, SystemClock
from shared.consumer.consumer import Consumer, ConsumerOptions
from shared.contracts.topics import ACTIVITY, HANDOFFS, consumer_group
from shared.db.database import Database
from shared.db.pool import open_database
from shared.outbox.relay import Relay
from shared.outbox.wakeup import relay_elsewhere
from shared.runtime import RoleName, Runner, WiredService
from shared.web.app import create_app, dispatch, limits_of
from shared.web.key_cache import KeyCache, PostgresKeys

DEFAULT_MODEL = Path(__file__).parent / "defaults" / "model.yaml"
CLOSE_SECONDS = 2.0


@asynccontextmanager
async def wire(
    settings: ScoringSettings, *, bus: Bus | None = None, clock: Clock | None = None
) -> AsyncIterator[WiredService]:
    """Open scoring; it closes when the block ends. `bus` is opened from the settings where none is given."""
    clock = clock or SystemClock()
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(_open_database(settings))
        await stack.enter_async_context(relay_elsewhere(database))
        if bus is None:
            bus = await stack.enter_async_context(_open_bus(settings))
        models = PostgresModels()
        shelf = PostgresModelShelf(database, models, clock)
        await shelf.install_default(DEFAULT_MODEL.read_text(encoding="utf-8"))
        keys = KeyCache(
            PostgresKeys(database),
            ttl_seconds=settings.auth_cache_seconds,
            file=settings.data_dir / "scoring-keys.json",
            clock=clock,
        )
        stack.push_async_callback(keys.close)
        engines = Engines(models, clock, settings.hub_links)
        reads = PostgresReads(database, models, clock)

        async def ready() -> Mapping[str, bool | str]:
            async with database.connection() as connection:
                await connection.fetchval("SELECT 1")
            return {"database": True}

        app = create_app("Leadline scoring", authenticate=keys.find, ready=ready)
        app.include_router(leads_router(reads))
        app.include_router(merges_router(database, postgres_stores, engines.open))
        app.include_router(models_router(shelf))
        yield WiredService(
            name="scoring",
            api=dispatch(app, service="scoring", limits=limits_of(settings)),
            views=ScoringViews(database, reads),
            roles=_roles(settings, database, bus, engines),
        )


def _roles(
    settings: ScoringSettings, database: Database, bus: Bus, engines: Engines
) -> Mapping[RoleName, Runner]:
    handler = TopicHandler(
        {
            ACTIVITY.name: ActivityHandler(engines.open, postgres_stores, bot_verdict),
            HANDOFFS.name: HandoffHandler(engines.open, postgres_stores),
        }
    )
    worker = Consumer(
        bus,
        database,
        group=consumer_group("scoring"),
        topics=[ACTIVITY.name, HANDOFFS.name],
        handler=handler,
        options=ConsumerOptions(max_records=settings.scoring_batch),
    )
    timer = ScoreTimers(database, engines.open, postgres_stores, poll_seconds=settings.decay_poll_seconds)
    return {"worker": worker, "relay": Relay(bus, database), "timer": timer}


@asynccontextmanager
async def _open_database(settings: ScoringSettings) -> AsyncIterator[Database]:
    database = await open_database(settings, "scoring")
    try:
        yield database
    finally:
        try:
            await asyncio.wait_for(database.pool.close(), CLOSE_SECONDS)
        except TimeoutError:
            database.pool.terminate()


@asynccontextmanager
async def _open_bus(settings: ScoringSettings) -> AsyncIterator[Bus]:
    if settings.bus == "memory":
        yield MemoryBus()
        return
    async with open_postgres_bus(settings.database(), service="scoring") as bus:
        yield bus
