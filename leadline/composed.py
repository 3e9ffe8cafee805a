"""Several services behind one address: each path goes to its owner, one lifespan for all."""

import asyncio
import re
from collections.abc import Mapping

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.contracts.routes import owner_of
from shared.contracts.topics import ServiceName


class ComposedApp:
    """An ASGI application made of the services' and of `own`, which answers all that no service owns.

    Paths that match `own_paths` are pages over several services, though they lie under the prefix of one.
    """

    def __init__(
        self, services: Mapping[ServiceName, ASGIApp], own: ASGIApp, own_paths: re.Pattern[str]
    ) -> None:
        self._services = services
        self._own = own
        self._own_paths = own_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _run_lifespans([*self._services.values(), self._own], receive, send)
            return
        await self._app_for(scope["path"])(scope, receive, send)

    def _app_for(self, path: str) -> ASGIApp:
        owner = owner_of(path)
        if owner is None or owner not in self._services or self._own_paths.fullmatch(path):
            return self._own
        return self._services[owner]


class _Lifespan:
    """Drives the lifespan of one application; one that does not know lifespans is left alone."""

    def __init__(self, app: ASGIApp) -> None:
        self._to_app: asyncio.Queue[Message] = asyncio.Queue()
        self._from_app: asyncio.Queue[Message] = asyncio.Queue()
        scope: Scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.3"}, "state": {}}
        self._task = asyncio.ensure_future(app(scope, self._to_app.get, self._from_app.put))

    async def tell(self, event: str) -> str:
        """Send `startup` or `shutdown`; return the answer's type, `unsupported` where there is none."""
        if self._task.done():
            return "unsupported"
        await self._to_app.put({"type": f"lifespan.{event}"})
        answer = asyncio.ensure_future(self._from_app.get())
        await asyncio.wait([answer, self._task], return_when=asyncio.FIRST_COMPLETED)
        if answer.done():
            return str(answer.result()["type"])
        answer.cancel()
        # By the ASGI specification an application that raises here does not support lifespans.
        self._task.exception()
        return "unsupported"


async def _run_lifespans(apps: list[ASGIApp], receive: Receive, send: Send) -> None:
    await receive()
    started = [_Lifespan(app) for app in apps]
    for lifespan in started:
        if (await lifespan.tell("startup")).endswith("failed"):
            await send({"type": "lifespan.startup.failed", "message": "an application did not start"})
            return
    await send({"type": "lifespan.startup.complete"})
    await receive()
    for lifespan in reversed(started):
        await lifespan.tell("shutdown")
    await send({"type": "lifespan.shutdown.complete"})
