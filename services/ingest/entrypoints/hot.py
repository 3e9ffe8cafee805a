"""The hot paths in front of FastAPI: a request is routed by a look at its path, before any framework."""

from dataclasses import dataclass

from starlette.types import ASGIApp, Receive, Scope, Send

from services.ingest.entrypoints.answer import not_allowed, preflight, send_answer
from services.ingest.entrypoints.forms import FormDoor
from services.ingest.entrypoints.request import Head
from services.ingest.entrypoints.site import Site
from services.ingest.entrypoints.tracking import BATCH, SDK_METRICS, SINGLE, TrackingDoor, settings_answer

_DOORS = {f"/v1/{door}": door for door in (*SINGLE, *BATCH, SDK_METRICS)}
_FORMS = "/v1/forms/"
_PROJECTS = "/v1/projects/"
_SETTINGS = "/settings"


@dataclass(frozen=True, slots=True)
class HotPaths:
    """Serves tracking, forms, SDK settings and the shipped site; gives everything else to `rest`."""

    tracking: TrackingDoor
    forms: FormDoor
    site: Site
    rest: ASGIApp
    public_url: str | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.rest(scope, receive, send)
            return
        path: str = scope["path"].rstrip("/")
        if door := _DOORS.get(path):
            await self.tracking(door, scope, receive, send)
        elif path.startswith(_FORMS):
            await self.forms(path[len(_FORMS) :], scope, receive, send)
        elif path.startswith(_PROJECTS) and path.endswith(_SETTINGS):
            await self._settings(path[len(_PROJECTS) : -len(_SETTINGS)], scope, send)
        elif path == "/site" or path.startswith("/site/"):
            await self.site(path, scope, send)
        else:
            await self.rest(scope, receive, send)

    async def _settings(self, write_key: str, scope: Scope, send: Send) -> None:
        head = Head.of(scope)
        if scope["method"] == "OPTIONS":
            answer = preflight(head)
        elif scope["method"] in {"GET", "HEAD"}:
            answer = settings_answer(write_key, head, self.public_url)
        else:
            answer = not_allowed("GET, OPTIONS")
        await send_answer(answer, head, send)
