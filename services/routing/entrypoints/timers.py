"""The timer role: a heartbeat, due clocks, woken queues. Any number of processes may run it at once."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from services.routing.domain.sla import OUTAGE_GAP_SECONDS
from services.routing.usecases.drain_queue import drain_page
from services.routing.usecases.fire_clocks import fire_clocks
from services.routing.usecases.ports import Store
from shared.db.database import Database, Transaction
from shared.db.errors import is_transient
from shared.ids import new_id
from shared.observability.metrics import BREACH_LATENESS, CLOCKS_FIRED, LEADS_SET_ASIDE

log = structlog.get_logger(__name__)

POLL_SECONDS = 0.25  # half of the half second within which a breach is recorded
SHORTEST_SECONDS = 0.005
BEAT_SECONDS = 5.0
LEADS_AT_ONCE = 50  # leads fired in one transaction: well under its 500 ms
CLOCKS_AT_ONCE = 200

StoreOf = Callable[[Transaction, datetime | None], Store]


class Due(Protocol):
    """What is due, read without locks."""

    async def leads(self, now: datetime | None, limit: int) -> Sequence[str]: ...

    async def queues(self, now: datetime | None) -> Sequence[tuple[str, int]]: ...

    async def until_next(self) -> timedelta | None: ...

    async def beat(self, holder: str, gap: timedelta, now: datetime | None) -> bool: ...


class Timers:
    """A Runner. `turn` does all that is due once; `now` is fixed by tests only."""

    def __init__(self, database: Database, due: Due, store_of: StoreOf) -> None:
        self._database = database
        self._due = due
        self._store_of = store_of
        self._holder = new_id("timer")
        self._beaten: float | None = None
        self._aside: set[str] = set()

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`; faults of the database are waited out."""
        while not stop.is_set():
            try:
                await self._beat()
                fired = await self.turn()
                pause = await self._pause(fired)
            except Exception as fault:
                if not is_transient(fault):
                    raise
                log.warning("timers.database_unavailable", reason=type(fault).__name__)
                pause = POLL_SECONDS
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), pause)

    async def turn(self, now: datetime | None = None) -> int:
        """Fire due clocks and drain due queues; return how many clocks fired."""
        fired = 0
        leads = sorted(await self._due.leads(now, CLOCKS_AT_ONCE + len(self._aside)))
        leads = [lead for lead in leads if lead not in self._aside]
        for start in range(0, len(leads), LEADS_AT_ONCE):
            fired += await self._fire(leads[start : start + LEADS_AT_ONCE], now)
        for queue, turn in await self._due.queues(now):
            await self._drain(queue, turn, now)
        return fired

    async def _fire(self, leads: Sequence[str], now: datetime | None) -> int:
        """Fire a batch; where it fails by a fault of ours, each lead alone: none stops the others."""
        try:
            async with self._database.transaction() as tx:
                firing = await fire_clocks(self._store_of(tx, now), leads)
        except Exception as fault:
            if is_transient(fault):
                raise
            if len(leads) == 1:
                # Left due, for the reconciliation to show and the next process to try again.
                log.exception("timers.lead_failed", lead_id=leads[0], reason=type(fault).__name__)
                self._aside.add(leads[0])
                LEADS_SET_ASIDE.inc()
                return 0
        else:
            CLOCKS_FIRED.inc(firing.fired)
            for seconds in firing.lateness:
                BREACH_LATENESS.observe(seconds)
            return firing.fired
        return sum([await self._fire([lead], now) for lead in leads])

    async def beat(self, now: datetime | None = None) -> None:
        """Write the heartbeat and, after a long silence, the outage."""
        if await self._due.beat(self._holder, timedelta(seconds=OUTAGE_GAP_SECONDS), now):
            log.warning("timers.outage_recorded")

    async def _beat(self) -> None:
        time = asyncio.get_running_loop().time()
        if self._beaten is None or time - self._beaten >= BEAT_SECONDS:
            await self.beat()
            self._beaten = time

    async def _drain(self, queue: str, turn: int, now: datetime | None) -> None:
        offset: int | None = 0
        while offset is not None:
            async with self._database.transaction() as tx:
                offset = await drain_page(self._store_of(tx, now), queue, turn, offset)

    async def _pause(self, fired: int) -> float:
        """Sleep until the next is due; what is due and did not fire is held by somebody: it can wait."""
        until = await self._due.until_next()
        seconds = until.total_seconds() if until is not None else POLL_SECONDS
        if seconds <= 0 and not fired:
            return POLL_SECONDS
        return min(POLL_SECONDS, max(SHORTEST_SECONDS, seconds))
