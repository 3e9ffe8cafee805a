"""Puts scoring together: pool, bus, default model, doors, roles."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
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
from shared.bus.port import Bus
from shared.clock import Clock
from shared.consumer.consumer import Consumer, ConsumerOptions
from shared.consumer.lanes import Lanes
from shared.contracts.topics import ACTIVITY, HANDOFFS, consumer_group
from shared.db.database import Database
from shared.foundation import open_foundation
from shared.outbox.relay import Relay
from shared.runtime import RoleName, Runner, WiredService
from shared.web.app import create_app, dispatch, limits_of

DEFAULT_MODEL = Path(__file__).parent / "defaults" / "model.yaml"


@asynccontextmanager
async def wire(
    settings: ScoringSettings, *, bus: Bus | None = None, clock: Clock | None = None
) -> AsyncIterator[WiredService]:
    """Open scoring; it closes when the block ends. `bus` is opened from the settings where none is given."""
    async with open_foundation(settings, "scoring", bus=bus, clock=clock) as ground:
        database, models = ground.database, PostgresModels()
        shelf = PostgresModelShelf(database, models, ground.clock)
        await shelf.install_default(DEFAULT_MODEL.read_text(encoding="utf-8"))
        engines = Engines(models, ground.clock, settings.hub_links)
        reads = PostgresReads(database, models, ground.clock)
        app = create_app("Leadline scoring", authenticate=ground.keys.find, ready=ground.ready)
        app.include_router(leads_router(reads))
        app.include_router(merges_router(database, postgres_stores, engines.open))
        app.include_router(models_router(shelf))
        yield WiredService(
            name="scoring",
            api=dispatch(app, service="scoring", limits=limits_of(settings)),
            views=ScoringViews(database, ground.bus, reads),
            roles=_roles(settings, database, ground.bus, engines),
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
    lanes = [
        Consumer(
            bus,
            database,
            group=consumer_group("scoring"),
            topics=[ACTIVITY.name, HANDOFFS.name],
            handler=handler,
            lane=lane,
            options=ConsumerOptions(max_records=settings.scoring_batch),
        )
        for lane in range(settings.scoring_lanes)
    ]
    timer = ScoreTimers(database, engines.open, postgres_stores, poll_seconds=settings.decay_poll_seconds)
    return {"worker": Lanes(lanes), "relay": Relay(bus, database), "timer": timer}
