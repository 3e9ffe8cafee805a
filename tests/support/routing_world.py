"""Routing, wired on a real database, with keys and its roles running; requests go to its ASGI application."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
import msgspec

from services.routing.bootstrap import wire
from services.routing.settings import RoutingSettings
from shared.bus.port import Bus, Outgoing
from shared.bus.postgres import open_postgres_bus
from shared.contracts.envelope import Attributes, to_headers
from shared.contracts.leads import MERGED, SCORED, UNMERGED, LeadMerged, LeadScored, LeadUnmerged
from shared.contracts.topics import LEADS
from shared.ids import new_id
from shared.runtime import WiredService
from shared.web.keys import create_key

TYPES = {LeadScored: SCORED, LeadMerged: MERGED, LeadUnmerged: UNMERGED}


@dataclass(frozen=True)
class RoutingWorld:
    """A wired routing: `client` without a key, tokens of each kind, and the bus that scoring appends to."""

    service: WiredService
    client: httpx2.AsyncClient
    url: str
    bus: Bus
    work_key: str
    rep_key: str
    admin_key: str

    async def publish(self, *messages: LeadScored | LeadMerged | LeadUnmerged) -> None:
        """Append messages as scoring does."""
        await self.bus.append(
            [
                Outgoing(
                    LEADS.name,
                    message.lead_id,
                    to_headers(
                        Attributes(
                            new_id("ev"), "leadline/scoring", TYPES[type(message)],
                            _at(message), message.lead_id,
                        )
                    ),
                    msgspec.json.encode(message),
                )
                for message in messages
            ]
        )  # fmt: skip

    async def call(
        self, method: str, path: str, json: Any = None, *, key: str = "", **headers: str
    ) -> httpx2.Response:
        """Send a request, under the work key unless another is given."""
        headers = {"authorization": f"Bearer {key or self.work_key}", **headers}
        return await self.client.request(method, path, json=json, headers=headers)

    async def get(self, path: str) -> Any:
        """Return the JSON of a read that succeeds."""
        answer = await self.call("GET", path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def state(self, lead_id: str) -> str | None:
        """Return a lead's state, None while it is unknown."""
        answer = await self.call("GET", f"/v1/lifecycle/{lead_id}")
        return answer.json()["state"] if answer.status_code == 200 else None

    async def run_sql(self, sql: str, *arguments: Any) -> list[dict[str, Any]]:
        """Run SQL as the database's owner."""
        connection = await asyncpg.connect(self.url)
        try:
            return [dict(row) for row in await connection.fetch(sql, *arguments)]
        finally:
            await connection.close()


def _at(message: LeadScored | LeadMerged | LeadUnmerged) -> datetime:
    if isinstance(message, LeadScored):
        return message.as_of
    return message.merged_at if isinstance(message, LeadMerged) else message.unmerged_at


@asynccontextmanager
async def routing_world(url: str, data_dir: Path) -> AsyncIterator[RoutingWorld]:
    """Wire routing on a migrated database over the Postgres bus, with all its roles running."""
    owner = await asyncpg.connect(url)
    try:
        work = await create_key(owner, name="crm", scopes=["work"])
        rep = await create_key(owner, name="anna", scopes=["work"], actor="anna")
        admin = await create_key(owner, name="admin", scopes=["admin"], actor="petra")
    finally:
        await owner.close()
    settings = RoutingSettings.model_validate({"database_url": url, "data_dir": data_dir})
    async with (
        open_postgres_bus(url, service="scoring") as outside,
        wire(settings) as service,
        running(service),
        httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app=service.api), base_url="http://leadline.test"
        ) as client,
    ):
        yield RoutingWorld(service, client, url, outside, work.token, rep.token, admin.token)


@asynccontextmanager
async def running(service: WiredService) -> AsyncIterator[None]:
    """Run all roles of a service as tasks of this process."""
    stop = asyncio.Event()
    tasks = [asyncio.create_task(runner.run(stop), name=name) for name, runner in service.roles.items()]
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait_for(asyncio.gather(*tasks), 15)
