"""The base of every HTTP application: `create_app` for FastAPI, `dispatch` for what stands in front of it.

app = create_app("Leadline scoring", authenticate=keys.find, ready=ready)
app.include_router(router)
api = dispatch(app, service="scoring", hot={("POST", "/v1/track"): track}, limits=limits)
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from shared.observability.metrics import CONTENT_TYPE, render
from shared.settings import ServiceSettings
from shared.web.auth import Authenticate
from shared.web.body import DEFAULT_LIMITS, BodyLimits, parse_json, read_body
from shared.web.described import DescribedApp
from shared.web.exchange import Exchange
from shared.web.problem import MEDIA_TYPE, Problem, install_handlers, unavailable

# What each part needed to serve says of itself: True, or a few words on why not.
Ready = Callable[[], Awaitable[Mapping[str, bool | str]]]
Hot = Mapping[tuple[str, str], ASGIApp]

# The promise is an answer within 5 s; this leaves time for the answer to travel.
DEADLINE_SECONDS = 4.5
READY_SECONDS = 2.0


async def always_ready() -> Mapping[str, bool | str]:
    """Return no checks: ready as soon as it runs."""
    return {}


def create_app(
    title: str,
    *,
    authenticate: Authenticate,
    ready: Ready = always_ready,
    lifespan: Callable[[Any], AbstractAsyncContextManager[None]] | None = None,
) -> DescribedApp:
    """Return a FastAPI application with problems for all errors, `/livez`, `/readyz` and `/metrics`."""
    problem = {"description": "Problem (RFC 9457)", "content": {MEDIA_TYPE: {}}}
    app = DescribedApp(
        title=title,
        version="1",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # tracking libraries count a redirect as delivered
        telemetry={"tracing": False, "metrics": False, "logs": False},
        responses={422: problem, "default": problem},
    )
    app.state.authenticate = authenticate
    install_handlers(app)
    _add_probes(app, ready)
    return app


def limits_of(settings: ServiceSettings) -> BodyLimits:
    """Return the body limits that the settings name."""
    return BodyLimits(settings.max_body_bytes, settings.max_json_depth, settings.max_json_keys)


def dispatch(
    app: ASGIApp,
    *,
    service: str,
    hot: Hot | None = None,
    limits: BodyLimits = DEFAULT_LIMITS,
    deadline_seconds: float = DEADLINE_SECONDS,
) -> ASGIApp:
    """Put hot ASGI endpoints, the request id, the deadline, the body guard and the metrics in front of `app`.

    `hot` maps (method, path) to an endpoint; a path ending in `/*` matches everything below it. Hot endpoints
    read their body with `read_body` themselves; bodies for `app` are read, unpacked and checked here.
    An endpoint may raise Problem. A response that has not started `deadline_seconds` after the request was
    complete becomes a 503; `scope["leadline.no_deadline"] = True` lifts that for a stream.
    """
    return _Dispatch(app, service, hot or {}, limits, deadline_seconds)


class _Dispatch:
    def __init__(
        self, app: ASGIApp, service: str, hot: Hot, limits: BodyLimits, deadline_seconds: float
    ) -> None:
        self._app = app
        self._service = service
        self._exact = {key: endpoint for key, endpoint in hot.items() if not key[1].endswith("/*")}
        self._below = {key: endpoint for key, endpoint in hot.items() if key[1].endswith("/*")}
        self._limits = limits
        self._deadline_seconds = deadline_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        endpoint, route = self._find(scope["method"], scope["path"])
        exchange = Exchange(scope, receive, send, self._service, self._deadline_seconds, route)
        await exchange.run(endpoint or self._guarded)

    def _find(self, method: str, path: str) -> tuple[ASGIApp | None, str | None]:
        endpoint = self._exact.get((method, path))
        if endpoint is not None:
            return endpoint, path
        for (wanted, pattern), below in self._below.items():
            if wanted == method and path.startswith(pattern[:-1]) and len(path) > len(pattern) - 1:
                return below, pattern
        return None, None

    async def _guarded(self, scope: Scope, receive: Receive, send: Send) -> None:
        if b"%00" in scope.get("raw_path", b"") or b"%00" in scope.get("query_string", b""):
            raise Problem(400, "nul_in_url", "The address contains the character NUL.")
        allowed = [method for method, path in self._exact if path == scope["path"]]
        if allowed and scope["method"] not in allowed:
            raise Problem(405, "method_not_allowed", headers={"allow": ", ".join(sorted(allowed))})
        if scope["method"] in ("POST", "PUT", "PATCH", "DELETE"):
            scope, receive = await self._with_checked_body(scope, receive)
        await self._app(scope, receive, send)

    async def _with_checked_body(self, scope: Scope, receive: Receive) -> tuple[Scope, Receive]:
        body = await read_body(scope, receive, self._limits)
        headers = [
            (name, value)
            for name, value in scope["headers"]
            if name not in (b"content-encoding", b"content-length", b"transfer-encoding")
        ]
        headers.append((b"content-length", str(len(body)).encode()))
        kind = dict(scope["headers"]).get(b"content-type", b"").partition(b";")[0].strip().lower()
        if body and (kind == b"application/json" or kind.endswith(b"+json")):
            parse_json(body, self._limits)
        # Changed in place: the frameworks leave the matched route in it, which the metrics read.
        scope["headers"] = headers
        return scope, _replay(body, receive)


def _replay(body: bytes, receive: Receive) -> Receive:
    given = False

    async def replayed() -> Any:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replayed


def _add_probes(app: FastAPI, ready: Ready) -> None:
    @app.get("/livez", include_in_schema=False)
    async def livez() -> Response:
        return JSONResponse({"status": "alive"})

    @app.get("/readyz", include_in_schema=False)
    async def readyz(_request: Request) -> Response:
        try:
            async with asyncio.timeout(READY_SECONDS):
                checks = await ready()
        except Exception as error:
            raise unavailable("not_ready", "A part this service needs does not answer.") from error
        if not all(result is True for result in checks.values()):
            problem = unavailable("not_ready", "A part this service needs is not well.")
            problem.extra["checks"] = dict(checks)
            raise problem
        return JSONResponse({"status": "ready", "checks": dict(checks)})

    @app.get("/metrics", include_in_schema=False)
    async def metrics() -> Response:
        return Response(render(), media_type=CONTENT_TYPE)
