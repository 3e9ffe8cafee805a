"""Ingest's part of the views over several services."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from services.ingest.adapters.postgres_quarantine import PostgresQuarantine
from shared.bus.heads import heads_if_told
from shared.bus.port import Bus
from shared.contracts.topics import ACTIVITY
from shared.runtime import Finding
from shared.spool.drain import Waiting, waiting

# Folders of the spool: what belongs on the bus, and what belongs into ingest's tables.
SPOOLS = ("activity", "intake")


def spooled(folder: Path) -> dict[str, Waiting]:
    """Return what waits on this machine's disk, by where it belongs."""
    return {place: waiting(folder / place) for place in SPOOLS}


async def _spooled(folder: Path) -> dict[str, Waiting]:
    """Return the same, looked for in a thread: a disk that hangs holds up who asks, and nobody else."""
    return await asyncio.to_thread(spooled, folder)


def _plain(found: Mapping[str, Waiting]) -> dict[str, dict[str, float]]:
    return {place: asdict(one) for place, one in found.items()}


def held_back(found: Mapping[str, Waiting]) -> Finding:
    """Return what in the spool does not go on by itself: records that were refused, and damaged files."""
    problems = [
        f"{place}: {one.held_bytes} bytes were refused, see spool_holds_a_record in the log"
        for place, one in found.items()
        if one.held_bytes
    ]
    problems += [
        f"{place}: {one.torn_bytes} bytes in damaged files, see spool_file_damaged in the log"
        for place, one in found.items()
        if one.torn_bytes
    ]
    return Finding("nothing that was spooled is held back", len(found), problems)


class IngestViews:
    """Status, reconciliation and receipts' events; ingest knows no leads."""

    def __init__(self, quarantine: PostgresQuarantine, bus: Bus, spool: Path | None = None) -> None:
        self._quarantine = quarantine
        self._bus = bus
        self._spool = spool

    async def status(self) -> Mapping[str, Any]:
        """Return counts and ages of receipts, quarantine and spool, and how far the topic reaches."""
        return {
            **await self._quarantine.status(),
            "activity": await self._activity(),
            "spool": "off" if self._spool is None else _plain(await _spooled(self._spool)),
        }

    async def _activity(self) -> Mapping[str, int | bool]:
        heads = await heads_if_told(self._bus, ACTIVITY.name)
        if heads is None:
            return {"available": False}
        return {
            "available": True,
            "appended": sum(upcoming for _, upcoming in heads.values()),
            "kept": sum(upcoming - first for first, upcoming in heads.values()),
        }

    async def reconcile(self) -> Sequence[Finding]:
        """Return whether every receipt is in exactly one place, and the spool holds nothing back."""
        found = await self._quarantine.contradictions()
        findings = [Finding(check, checked, problems) for check, (checked, problems) in found.items()]
        return findings if self._spool is None else [*findings, held_back(await _spooled(self._spool))]

    async def lead(self, lead_id: str) -> Mapping[str, Any] | None:
        """Return None: ingest knows no leads."""
        del lead_id
        return None

    async def receipt_events(self, after: str | None, limit: int) -> list[tuple[str, str, bool]]:
        """Return (submission id, event id, sent) of mapped receipts after `after`, in order of id."""
        return await self._quarantine.receipt_events(after, limit)
