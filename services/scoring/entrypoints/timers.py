"""The timer role: decay crossings that are due, leads behind the model, snapshots of an older epoch."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence

import structlog

from services.scoring.usecases.ports import Engine, Stores
from services.scoring.usecases.rescore_due import rescore_due
from shared.db.database import Database, Transaction
from shared.db.errors import is_transient
from shared.observability.metrics import SCORING_PUT_OFF

log = structlog.get_logger(__name__)

LEADS_AT_ONCE = 100  # well under the half second that a business transaction may take

# STABLE, so that it is an index condition; clock_timestamp() would read every timer.
DUE = """
SELECT lead_id FROM scoring.decay_timer WHERE due_at <= statement_timestamp() ORDER BY due_at LIMIT $1
"""
_STALE = """
SELECT lead_id FROM scoring.lead WHERE model_version < (SELECT max(version) FROM scoring.model)
ORDER BY model_version, lead_id LIMIT $1
"""
_OLD_EPOCH = """
SELECT lead_id FROM scoring.snapshot WHERE epoch < platform.current_epoch() ORDER BY lead_id LIMIT $1
"""

_POSTPONE = """
UPDATE scoring.decay_timer SET due_at = statement_timestamp() + interval '5 minutes' WHERE lead_id = $1
"""

OpenEngine = Callable[[Transaction], Awaitable[Engine]]
OpenStores = Callable[[Transaction], Stores]


class ScoreTimers:
    """A Runner; any number of processes may run it at once. `turn` does what is due once."""

    def __init__(
        self, database: Database, open_engine: OpenEngine, open_stores: OpenStores, *, poll_seconds: float
    ) -> None:
        self._database = database
        self._open_engine = open_engine
        self._open_stores = open_stores
        self._poll_seconds = poll_seconds
        self._announced_epoch = 0

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`; faults of the database are waited out."""
        while not stop.is_set():
            done = 0
            try:
                done = await self.turn()
            except Exception as fault:
                if not is_transient(fault):
                    raise
                log.warning("score_timers_wait", reason=type(fault).__name__)
            if done < LEADS_AT_ONCE:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), self._poll_seconds)

    async def turn(self) -> int:
        """Score one batch of each kind; return how many leads were scored."""
        done = await self._batch(DUE) + await self._batch(_STALE)
        return done + await self._announce_epoch()

    async def _announce_epoch(self) -> int:
        """After a restore: publish every current snapshot once more."""
        async with self._database.connection() as connection:
            epoch = await connection.fetchval("SELECT platform.current_epoch()")
        if epoch == self._announced_epoch:
            return 0
        done = await self._batch(_OLD_EPOCH, force=True)
        if not await self._found(_OLD_EPOCH):
            self._announced_epoch = epoch
        return done

    async def _found(self, query: str) -> Sequence[str]:
        async with self._database.connection() as connection:
            return [row["lead_id"] for row in await connection.fetch(query, LEADS_AT_ONCE)]

    async def _batch(self, query: str, *, force: bool = False) -> int:
        lead_ids = await self._found(query)
        if not lead_ids:
            return 0
        try:
            return await self._score(lead_ids, force=force)
        except Exception as fault:
            if is_transient(fault):
                raise
            return await self._one_by_one(lead_ids, force=force)

    async def _score(self, lead_ids: Sequence[str], *, force: bool) -> int:
        async with self._database.transaction() as tx:
            return await rescore_due(
                lead_ids, self._open_stores(tx), await self._open_engine(tx), force=force
            )

    async def _one_by_one(self, lead_ids: Sequence[str], *, force: bool) -> int:
        """Keep one lead that cannot be scored from holding up the others: it is tried again later."""
        done = 0
        for lead_id in lead_ids:
            try:
                done += await self._score([lead_id], force=force)
            except Exception as fault:
                if is_transient(fault):
                    raise
                SCORING_PUT_OFF.inc()
                log.warning("lead_not_scored", lead_id=lead_id, reason=type(fault).__name__)
                async with self._database.connection() as connection:
                    await connection.execute(_POSTPONE, lead_id)
        return done
