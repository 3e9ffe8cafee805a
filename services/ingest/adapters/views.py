"""Ingest's part of the views over several services."""

from collections.abc import Mapping, Sequence
from typing import Any

from services.ingest.adapters.postgres_quarantine import PostgresQuarantine
from shared.bus.port import Bus, BusUnavailable
from shared.contracts.topics import ACTIVITY
from shared.runtime import Finding


class IngestViews:
    """Status, reconciliation and receipts' events; ingest knows no leads."""

    def __init__(self, quarantine: PostgresQuarantine, bus: Bus) -> None:
        self._quarantine = quarantine
        self._bus = bus

    async def status(self) -> Mapping[str, Any]:
        """Return counts and ages of receipts and quarantine, and how far the activity topic reaches."""
        return {**await self._quarantine.status(), "activity": await self._activity()}

    async def _activity(self) -> Mapping[str, int | bool]:
        try:
            heads = await self._bus.heads(ACTIVITY.name)
        except BusUnavailable:
            return {"available": False}
        return {
            "available": True,
            "appended": sum(upcoming for _, upcoming in heads.values()),
            "kept": sum(upcoming - first for first, upcoming in heads.values()),
        }

    async def reconcile(self) -> Sequence[Finding]:
        """Return whether every receipt is in exactly one place."""
        found = await self._quarantine.contradictions()
        return [Finding(check, checked, problems) for check, (checked, problems) in found.items()]

    async def lead(self, lead_id: str) -> Mapping[str, Any] | None:
        """Return None: ingest knows no leads."""
        del lead_id
        return None

    async def receipt_events(self, after: str | None, limit: int) -> list[tuple[str, str, bool]]:
        """Return (submission id, event id, sent) of mapped receipts after `after`, in order of id."""
        return await self._quarantine.receipt_events(after, limit)
