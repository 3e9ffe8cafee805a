"""All three services wired for one process: the composition root's composition roots."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from services.ingest.bootstrap import wire as wire_ingest
from services.ingest.settings import IngestSettings
from services.routing.bootstrap import wire as wire_routing
from services.routing.settings import RoutingSettings
from services.scoring.bootstrap import wire as wire_scoring
from services.scoring.settings import ScoringSettings
from shared.contracts.topics import ServiceName
from shared.runtime import WiredService

Services = dict[ServiceName, WiredService]


@asynccontextmanager
async def wire_all() -> AsyncIterator[Services]:
    """Wire ingest, scoring and routing from the environment's settings."""
    async with wire_ingest(IngestSettings()) as ingest, wire_beside(ingest) as services:
        yield services


@asynccontextmanager
async def wire_beside(ingest: WiredService) -> AsyncIterator[Services]:
    """Wire scoring and routing beside an ingest that is wired; the block has all three."""
    async with AsyncExitStack() as stack:
        yield {
            "ingest": ingest,
            "scoring": await stack.enter_async_context(wire_scoring(ScoringSettings())),
            "routing": await stack.enter_async_context(wire_routing(RoutingSettings())),
        }
