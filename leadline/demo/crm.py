"""The demonstration's CRM: reads the hand-off feed and answers with what became of each lead."""

import asyncio
import random
from collections.abc import Mapping
from typing import Any

import httpx2

STAGED = "leadline.handoff.stage_changed.v1"
WON_OF_100 = 45


class Crm:
    """Follows the feed like any CRM connector: remembers the cursor, answers each opportunity once."""

    def __init__(self, client: httpx2.AsyncClient, rng: random.Random, cursor: str | None) -> None:
        self._client = client
        self._rng = rng
        self.cursor = cursor
        self._deals: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Read the feed for ever; a Leadline that restarts is asked again from the same cursor."""
        while True:
            try:
                for event in await self._next_events():
                    if event["type"] == STAGED and event["data"]["stage"] == "unqualified":
                        self._start(event["data"])
            except httpx2.TransportError:
                await asyncio.sleep(1.0)

    async def _next_events(self) -> list[Mapping[str, Any]]:
        params = {"limit": "100", "wait": "10"} | ({"after": self.cursor} if self.cursor else {})
        answer = await self._client.get("/v1/events", params=params, timeout=30.0)
        if answer.is_error:
            await asyncio.sleep(1.0)
            return []
        page = answer.json()
        self.cursor = page["next"] or self.cursor
        events: list[Mapping[str, Any]] = page["data"]
        return events

    def _start(self, deal: Mapping[str, Any]) -> None:
        task = asyncio.create_task(self._work(deal))
        self._deals.add(task)
        task.add_done_callback(self._deals.discard)

    async def _work(self, deal: Mapping[str, Any]) -> None:
        by = deal["actor"].get("by") or deal["actor"]["id"]
        await asyncio.sleep(self._rng.uniform(5, 12))
        await self._tell(deal, "qualify", {"by": by, "stage": "qualified"})
        await asyncio.sleep(self._rng.uniform(5, 12))
        if self._rng.randrange(100) < WON_OF_100:
            await self._tell(deal, "win", {"by": by})
        else:
            await self._tell(deal, "lose", {"by": by, "reason": "bad_timing"})

    async def _tell(self, deal: Mapping[str, Any], act: str, body: Mapping[str, Any]) -> None:
        try:
            await self._client.post(f"/v1/handoffs/{deal['handoff_id']}/{act}", json=body)
        except httpx2.TransportError:
            return
