"""Ingest, wired on a real database, with keys; requests go to its ASGI application in this process."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
import msgspec
import orjson

from services.ingest.bootstrap import wire
from services.ingest.settings import IngestSettings
from shared.bus.memory import MemoryBus
from shared.bus.port import Bus
from shared.contracts.activity import ActivityRecorded
from shared.contracts.topics import ACTIVITY
from shared.runtime import WiredService
from shared.web.keys import create_key

_decode = msgspec.json.Decoder(ActivityRecorded).decode


@dataclass(frozen=True)
class IngestWorld:
    """A wired ingest: `client` without a key, tokens of each kind, the bus that tracking appends to."""

    service: WiredService
    client: httpx2.AsyncClient
    url: str
    bus: Any
    write_key: str
    admin_key: str
    read_key: str
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def admin(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.admin_key}"}

    async def track(self, body: Any, door: str = "batch", **headers: str) -> httpx2.Response:
        """Post JSON (or bytes as they are) to a tracking door with the write key."""
        content = body if isinstance(body, bytes) else orjson.dumps(body)
        headers = {"authorization": f"Bearer {self.write_key}", **headers}
        return await self.client.post(f"/v1/{door}", content=content, headers=headers)

    async def rows(self, sql: str, *arguments: Any) -> list[dict[str, Any]]:
        """Run SQL as the database's owner."""
        connection = await asyncpg.connect(self.url)
        try:
            return [dict(row) for row in await connection.fetch(sql, *arguments)]
        finally:
            await connection.close()

    async def outbox(self) -> list[ActivityRecorded]:
        """Return what the outbox holds, in order."""
        rows = await self.rows("SELECT payload FROM ingest.outbox ORDER BY id")
        return [_decode(row["payload"]) for row in rows]

    def appended(self) -> list[ActivityRecorded]:
        """Return what tracking appended to the memory bus, in order."""
        return [_decode(sent.value) for sent in self.bus.appended if sent.topic == ACTIVITY.name]

    async def is_sound(self) -> bool:
        """Whether the reconciliation finds nothing wrong."""
        return all(finding.ok for finding in await self.service.views.reconcile())


@asynccontextmanager
async def ingest_world(
    url: str, data_dir: Path, *, bus: Bus | None = None, **settings: Any
) -> AsyncIterator[IngestWorld]:
    """Wire ingest on a migrated database; tracking goes to a memory bus unless another is given.

    Without a spool unless `spool=True`: what goes wrong is then seen at the door.
    """
    owner = await asyncpg.connect(url)
    try:
        write = await create_key(owner, name="site", scopes=["ingest"], source="shop", public=True)
        admin = await create_key(owner, name="admin", scopes=["admin"], actor="ada")
        read = await create_key(owner, name="reader", scopes=["read"])
    finally:
        await owner.close()
    used = bus or MemoryBus(gap_every=0, repeat_every=0)
    async with _wired(url, data_dir, used, settings) as (service, client):
        yield IngestWorld(service, client, url, used, write.token, admin.token, read.token)


@asynccontextmanager
async def restarted(world: IngestWorld, data_dir: Path, **settings: Any) -> AsyncIterator[IngestWorld]:
    """Wire ingest once more, as the next process does: the same database, files, keys and bus."""
    async with _wired(world.url, data_dir, world.bus, settings) as (service, client):
        yield replace(world, service=service, client=client)


@asynccontextmanager
async def _wired(
    url: str, data_dir: Path, bus: Bus, settings: dict[str, Any]
) -> AsyncIterator[tuple[WiredService, httpx2.AsyncClient]]:
    chosen = IngestSettings.model_validate(
        {"database_url": url, "data_dir": data_dir, "spool": False, **settings}
    )
    async with wire(chosen, bus=bus) as service:
        transport = httpx2.ASGITransport(app=service.api)
        async with httpx2.AsyncClient(transport=transport, base_url="http://leadline.test") as client:
            yield service, client
