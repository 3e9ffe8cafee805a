"""The hot paths: which requests are answered in front of FastAPI, and by which door."""

from starlette.types import ASGIApp, Receive, Scope, Send

from services.ingest.entrypoints.answer import preflight, send_answer
from services.ingest.entrypoints.forms import FormDoor
from services.ingest.entrypoints.request import Head
from services.ingest.entrypoints.site import Site
from services.ingest.entrypoints.tracking import BATCH, SDK_METRICS, SINGLE, TrackingDoor, settings_answer
from shared.web.problem import Problem

_FORMS = "/v1/forms/"
_PROJECTS = "/v1/projects/"
_SETTINGS = "/settings"
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


def hot_paths(
    tracking: TrackingDoor, forms: FormDoor, site: Site, *, public_url: str | None
) -> dict[tuple[str, str], ASGIApp]:
    """Return the endpoints by (method, path), as `shared.web.app.dispatch` takes them."""

    async def settings(scope: Scope, _receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        if not path.endswith(_SETTINGS):
            raise Problem(404, "not_found")
        head = Head.of(scope)
        write_key = path[len(_PROJECTS) : -len(_SETTINGS)]
        is_preflight = scope["method"] == "OPTIONS"
        answer = preflight(head) if is_preflight else settings_answer(write_key, head, public_url)
        await send_answer(answer, head, send)

    async def form(scope: Scope, receive: Receive, send: Send) -> None:
        await forms(scope["path"][len(_FORMS) :].rstrip("/"), scope, receive, send)

    async def page(scope: Scope, _receive: Receive, send: Send) -> None:
        await site(scope["path"].rstrip("/"), scope, send)

    endpoints: dict[tuple[str, str], ASGIApp] = {}
    for name in (*SINGLE, *sorted(BATCH), SDK_METRICS):
        endpoint = _door(tracking, name)
        endpoints |= {(method, f"/v1/{name}{end}"): endpoint for method in _METHODS for end in ("", "/")}
    endpoints |= {(method, f"{_FORMS}*"): form for method in _METHODS}
    endpoints |= {(method, f"{_PROJECTS}*"): settings for method in ("GET", "HEAD", "OPTIONS")}
    endpoints |= {(method, path): page for method in ("GET", "HEAD") for path in ("/site", "/site/*")}
    return endpoints


def _door(tracking: TrackingDoor, name: str) -> ASGIApp:
    async def endpoint(scope: Scope, receive: Receive, send: Send) -> None:
        await tracking(name, scope, receive, send)

    return endpoint
