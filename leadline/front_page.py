"""`/`: where to go from here, for somebody who opened the address in a browser."""

import json
from importlib.metadata import version

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response

LINKS = {
    "/site/website": "the example site, with a form at /site/website/demo",
    "/openapi.json": "the HTTP API",
    "/v1/status": "counts, lags and ages (needs a key with the scope read)",
    "/readyz": "whether it is ready",
    "/metrics": "numbers over time, for Prometheus",
}


def router() -> APIRouter:
    """Return the route `/`: a page for a browser, JSON for everybody else."""
    routes = APIRouter()

    @routes.get("/", include_in_schema=False)
    async def front(request: Request) -> Response:
        """Name the links."""
        if "text/html" in request.headers.get("accept", ""):
            return HTMLResponse(_page())
        body = {"name": "Leadline", "version": version("leadline"), "links": LINKS}
        return Response(json.dumps(body), media_type="application/json")

    return routes


def _page() -> str:
    items = "".join(f'<li><a href="{path}">{path}</a>: {what}</li>' for path, what in LINKS.items())
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Leadline</title>'
        f"<h1>Leadline {version('leadline')}</h1><ul>{items}</ul>"
        "<p>More by the command line: <code>leadline --help</code>.</p></html>"
    )
