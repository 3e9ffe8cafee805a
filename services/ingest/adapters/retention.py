"""Forgets receipts and settled quarantine items after their time, a bounded number per step."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta

import structlog

from shared.db.database import Database
from shared.db.errors import is_transient

log = structlog.get_logger()

_BATCH = 1000
_RECEIPTS = """
DELETE FROM ingest.receipt WHERE submission_id IN (
    SELECT submission_id FROM ingest.receipt
    WHERE settled_at < statement_timestamp() - $1::interval AND state <> 'quarantined'
    ORDER BY settled_at LIMIT $2)
"""
_QUARANTINE = """
DELETE FROM ingest.quarantine WHERE id IN (
    SELECT id FROM ingest.quarantine
    WHERE state <> 'held' AND parked_at < statement_timestamp() - $1::interval
        AND changed_at < statement_timestamp() - $1::interval
    ORDER BY parked_at LIMIT $2)
"""
_KEYS = """
DELETE FROM ingest.submission_key WHERE (source, key_hash) IN (
    SELECT source, key_hash FROM ingest.submission_key
    WHERE claimed_at < statement_timestamp() - $1::interval
    ORDER BY claimed_at LIMIT $2)
"""
_NONE = timedelta(0)
# Keys outlive the longest window within which the same content is one submission.
_STATEMENTS = (
    (_RECEIPTS, _NONE),
    (_QUARANTINE, _NONE),
    (_KEYS, timedelta(days=31)),
)


class Retention:
    """A Runner: forgets what was settled longer than `keep` ago. What is held in quarantine stays."""

    def __init__(self, database: Database, *, keep: timedelta, pause_seconds: float = 60.0) -> None:
        self._database = database
        self._keep = keep
        self._pause_seconds = pause_seconds

    async def run(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                removed = await self.turn()
            except Exception as fault:
                if not is_transient(fault):
                    raise
                removed = (0,)
            if max(removed) < _BATCH:
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), self._pause_seconds)

    async def turn(self) -> Sequence[int]:
        """Forget up to a batch of each kind; return how many of each."""
        removed: list[int] = []
        for statement, least in _STATEMENTS:
            async with self._database.transaction() as tx:
                done = await tx.connection.execute(statement, max(self._keep, least), _BATCH)
            removed.append(int(done.rpartition(" ")[2]))
        if any(removed):
            log.info("ingest.forgotten", rows=sum(removed))
        return removed
