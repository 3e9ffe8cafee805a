"""Each path reaches the service that owns it, and all applications start and stop as one."""

import re
from typing import Any

import httpx2
from starlette.types import ASGIApp, Receive, Scope, Send

from leadline.composed import ComposedApp
from shared.contracts.topics import ServiceName

OVERVIEW = re.compile(r"/v1/leads/[^/]+/overview")


class Named:
    """Answers with its name and records its lifespan."""

    def __init__(self, name: str, *, fails: bool = False) -> None:
        self.name = name
        self.fails = fails
        self.told: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": self.name.encode()})

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            event = (await receive())["type"]
            self.told.append(event)
            await send({"type": f"{event}.failed" if self.fails else f"{event}.complete"})
            if event == "lifespan.shutdown" or self.fails:
                return


async def knows_no_lifespan(scope: Scope, receive: Receive, send: Send) -> None:
    raise AssertionError(f"{scope['type']} is not for me")


def composed(
    *, ingest: ASGIApp | None = None, scoring: ASGIApp | None = None, own: ASGIApp | None = None
) -> ComposedApp:
    services: dict[ServiceName, ASGIApp] = {
        "ingest": ingest or Named("ingest"),
        "scoring": scoring or Named("scoring"),
    }
    return ComposedApp(services, own or Named("own"), OVERVIEW)


async def answer(app: ASGIApp, path: str) -> str:
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://leadline") as client:
        return (await client.get(path)).text


async def run_lifespan(app: ASGIApp) -> list[str]:
    events = iter(["lifespan.startup", "lifespan.shutdown"])
    sent: list[str] = []

    async def receive() -> dict[str, Any]:
        return {"type": next(events)}

    async def send(message: Any) -> None:
        sent.append(message["type"])

    await app({"type": "lifespan"}, receive, send)
    return sent


async def test_each_path_reaches_its_owner() -> None:
    app = composed()
    assert await answer(app, "/v1/track") == "ingest"
    assert await answer(app, "/v1/leads/ld_1/score") == "scoring"
    assert await answer(app, "/v1/leads/ld_1/overview") == "own"
    assert await answer(app, "/v1/status") == "own"
    assert await answer(app, "/v1/trackers") == "own"


async def test_a_path_of_a_service_that_is_not_here_is_not_answered_by_another() -> None:
    assert await answer(composed(), "/v1/handoffs") == "own"


async def test_all_applications_start_and_stop_as_one() -> None:
    ingest, own = Named("ingest"), Named("own")
    sent = await run_lifespan(composed(ingest=ingest, own=own))
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert ingest.told == own.told == ["lifespan.startup", "lifespan.shutdown"]


async def test_one_that_does_not_start_stops_the_start() -> None:
    sent = await run_lifespan(composed(scoring=Named("scoring", fails=True)))
    assert sent == ["lifespan.startup.failed"]


async def test_an_application_without_a_lifespan_is_left_alone() -> None:
    sent = await run_lifespan(composed(scoring=knows_no_lifespan))
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
