"""What an address answers while its process is still opening what it stands on: 503, so that clients wait."""

from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from shared.web.problem import problem_response, unavailable

DETAIL = "Leadline is starting, or waits for its database. Try again."


async def not_yet(scope: Scope, receive: Receive, send: Send) -> None:
    """An ASGI application: alive, not ready, and 503 with Retry-After to everything."""
    if scope["type"] == "lifespan":
        for event in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{event}.complete"})
        return
    if scope["path"] == "/livez":
        await JSONResponse({"status": "alive"})(scope, receive, send)
        return
    ready = scope["path"] == "/readyz"
    problem = unavailable("not_ready" if ready else "starting", DETAIL)
    if ready:
        problem.extra["checks"] = {"database": "does not answer yet"}
    await problem_response(problem)(scope, receive, send)
