"""`leadline api`: the three services' HTTP in one process, and the pages that are about all of them."""

import asyncio
import json
import re
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.metadata import version

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from leadline import front_page, letters, pages
from leadline.composed import ComposedApp
from leadline.letters import Holder
from leadline.openapi import fetch_document, merge
from leadline.wiring import wire_beside
from services.ingest.bootstrap import wire as wire_ingest
from services.ingest.settings import IngestSettings
from shared.bus.agreed import AgreedBus
from shared.bus.choice import open_seldom
from shared.contracts.topics import SERVICES, ServiceName
from shared.db.database import Database
from shared.db.pool import open_database
from shared.foundation import writable
from shared.http_server import ApiServer, answering_meanwhile
from shared.patience import enter_when_there
from shared.process import run_roles
from shared.runtime import WiredService
from shared.settings import ServiceSettings
from shared.web.app import create_app, dispatch, limits_of
from shared.web.auth import Authenticate
from shared.web.key_cache import KeyCache, PostgresKeys
from shared.web.not_yet import not_yet

Services = Mapping[ServiceName, WiredService]

# Pages over several services, though they lie under the prefix of one.
OWN_PATHS = re.compile(r"/v1/leads/[^/]+/overview")


async def serve(listener: socket.socket, stop: asyncio.Event) -> None:
    """Wire all services and serve them on `listener` until `stop`; while that cannot be done yet, say so.

    Ingest comes first and does not wait for the others: with its spool it takes in without its database.
    """
    settings, meanwhile = ServiceSettings(), _Meanwhile()
    async with AsyncExitStack() as stack:
        app: ASGIApp | None = None
        async with answering_meanwhile(listener, meanwhile):
            ingest = await enter_when_there(stack, lambda: wire_ingest(IngestSettings()), stop)
            if ingest is not None:
                meanwhile.take_in(ingest)
                app = await enter_when_there(stack, lambda: _open(settings, ingest), stop)
        if app is not None:
            await run_roles([("api", ApiServer(app, listener))], stop)


class _Meanwhile:
    """What is answered until everything is open: 503, but for ingest's doors once ingest is."""

    def __init__(self) -> None:
        self._app: ASGIApp = not_yet

    def take_in(self, ingest: WiredService) -> None:
        self._app = ComposedApp({"ingest": ingest.api}, not_yet, OWN_PATHS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Ingest's own lifespan begins with that of the whole.
        app = not_yet if scope["type"] == "lifespan" else self._app
        await app(scope, receive, send)


@asynccontextmanager
async def _open(settings: ServiceSettings, ingest: WiredService) -> AsyncIterator[ASGIApp]:
    async with wire_beside(ingest) as services, open_holders(settings) as holders:
        keys = KeyCache(
            PostgresKeys(holders["routing"].database),
            ttl_seconds=settings.auth_cache_seconds,
            file=settings.data_dir / "keys-last-good-api.json",
        )
        try:
            yield compose(services, holders, keys.find, settings)
        finally:
            await keys.close()


def compose(
    services: Services,
    holders: Mapping[ServiceName, Holder],
    authenticate: Authenticate,
    settings: ServiceSettings,
) -> ASGIApp:
    """Return the application that answers for all `services`."""

    async def ready() -> Mapping[str, bool | str]:
        return {"database": await writable(holders["routing"].database)}

    own = create_app("Leadline", authenticate=authenticate, ready=ready)
    own.include_router(pages.router(services, holders))
    own.include_router(front_page.router())
    own.include_router(letters.router(holders))
    applications: dict[ServiceName, ASGIApp] = {name: service.api for name, service in services.items()}
    documented: dict[str, ASGIApp] = {str(name): app for name, app in applications.items()}
    documented["leadline"] = own
    front = dispatch(
        own,
        service="leadline",
        hot={("GET", "/openapi.json"): OpenApi(documented)},
        limits=limits_of(settings),
    )
    return ComposedApp(applications, front, OWN_PATHS)


@asynccontextmanager
async def open_holders(settings: ServiceSettings) -> AsyncIterator[dict[ServiceName, Holder]]:
    """Open a small pool for each service's dead letters; they are looked at by people, not by the load."""
    small = settings.model_copy(update={"pool_min_size": 0, "pool_max_size": 2})
    async with AsyncExitStack() as stack:
        holders: dict[ServiceName, Holder] = {}
        for service in SERVICES:
            database: Database = await open_database(small, service, application="leadline-api")
            stack.push_async_callback(database.pool.close)
            bus = await stack.enter_async_context(open_seldom(settings, database.pool))
            holders[service] = Holder(database, AgreedBus(bus, database))
        yield holders


class OpenApi:
    """`/openapi.json` of everything, made when it is first asked for."""

    def __init__(self, applications: Mapping[str, ASGIApp]) -> None:
        self._applications = applications
        self._body: bytes | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._body is None:
            documents = {name: await fetch_document(app) for name, app in self._applications.items()}
            self._body = json.dumps(merge("Leadline", version("leadline"), documents)).encode()
        await Response(self._body, media_type="application/json")(scope, receive, send)
