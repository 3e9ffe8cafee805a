"""The demonstration's marketing site: posts page views, events and forms like any other site would."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import httpx2

from leadline.demo.history import Message

BATCH = 100
PATIENCE_SECONDS = 1.0


class Site:
    """Posts to Leadline; keeps trying while it is restarting, because a site would not lose its visitors."""

    def __init__(self, client: httpx2.AsyncClient) -> None:
        self._client = client

    async def track(self, messages: Sequence[Message]) -> None:
        """Post messages in batches, in order."""
        for start in range(0, len(messages), BATCH):
            await self._post("/v1/batch", {"batch": list(messages[start : start + BATCH])})

    async def submit(self, form: Mapping[str, str]) -> None:
        """Submit the website's form."""
        await self._post("/v1/forms/website", form)

    async def _post(self, path: str, body: Mapping[str, Any]) -> None:
        while True:
            try:
                answer = await self._client.post(path, json=body)
            except httpx2.TransportError:
                answer = None
            if answer is not None and answer.status_code < httpx2.codes.INTERNAL_SERVER_ERROR:
                answer.raise_for_status()
                return
            await asyncio.sleep(PATIENCE_SECONDS)
