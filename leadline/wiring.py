"""All three services wired for one process: the composition root's composition roots."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from shared.contracts.topics import ServiceName
from shared.runtime import WiredService

Services = dict[ServiceName, WiredService]


@asynccontextmanager
async def wire_all() -> AsyncIterator[Services]:
    """Wire ingest, scoring and routing from the environment's settings."""
    from services.ingest.settings import IngestSettings
    from services.routing.settings import RoutingSettings
    from services.scoring.settings import ScoringSettings

    from services.ingest import bootstrap as ingest
    from services.routing import bootstrap as routing
    from services.scoring import bootstrap as scoring

    async with AsyncExitStack() as stack:
        yield {
            "ingest": await stack.enter_async_context(ingest.wire(IngestSettings())),
            "scoring": await stack.enter_async_context(scoring.wire(ScoringSettings())),
            "routing": await stack.enter_async_context(routing.wire(RoutingSettings())),
        }
