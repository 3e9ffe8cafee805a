"""The timer role: a heartbeat, due clocks, woken queues. Any number of processes may run it at once."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from services.routing.domain.sla import OUTAGE_GAP_SECONDS
from services.routing.entrypoints.setbacks import Setbacks
from services.routing.usecases.drain_queue import drain_page, rest_queue
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
Sleep = Callable[[asyncio.Event, float], Awaitable[None]]


class Due(Protocol):
    """What is due, read without locks."""

    async def leads(self, now: datetime | None, limit: int) -> Sequence[str]: ...

    async def queues(self, now: datetime | None) -> Sequence[tuple[str, int]]: ...

    async def until_next(self) -> timedelta | None: ...

    async def beat(self, holder: str, gap: timedelta, now: datetime | None) -> bool: ...


async def sleep_until(stop: asyncio.Event, seconds: float) -> None:
    """Sleep, or wake at once when `stop` is set."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)


class Timers:
    """A Runner. `turn` does all that is due once; tests fix `now`, `clock` (seconds) and `sleep`."""

    def __init__(
        self,
        database: Database,
        due: Due,
        store_of: StoreOf,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Sleep = sleep_until,
    ) -> None:
        self._database = database
        self._due = due
        self._store_of = store_of
        self._holder = new_id("timer")
        self._beaten: float | None = None
        self._clock = clock
        self._sleep = sleep
        self._setbacks = Setbacks(clock)
        self._found = False

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
            await self._sleep(stop, pause)

    async def turn(self, now: datetime | None = None) -> int:
        """Fire due clocks and drain due queues; return how many clocks fired."""
        fired = 0
        due = sorted(await self._due.leads(now, CLOCKS_AT_ONCE + len(self._setbacks)))
        leads = [lead for lead in due if not self._setbacks.waits(lead)]
        for start in range(0, len(leads), LEADS_AT_ONCE):
            fired += await self._fire(leads[start : start + LEADS_AT_ONCE], now)
        queues = await self._due.queues(now)
        for queue, turn in queues:
            if not self._setbacks.waits(_queue_key(queue)):
                await self._drain(queue, turn, now)
        self._found = bool(due or queues)
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
                # Left due: the reconciliation shows it, and it fires once the cause is mended.
                pause = self._setbacks.fail(leads[0])
                log.exception(
                    "timers.lead_failed", lead_id=leads[0], reason=type(fault).__name__, seconds=pause
                )
                LEADS_SET_ASIDE.inc()
                return 0
        else:
            self._setbacks.succeed(leads)
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
        at = self._clock()
        if self._beaten is None or at - self._beaten >= BEAT_SECONDS:
            await self.beat()
            self._beaten = at

    async def _drain(self, queue: str, turn: int, now: datetime | None) -> None:
        """Drain a queue; a fault of ours there leaves it due and is tried again like a lead's."""
        offset: int | None = 0
        try:
            while offset is not None:
                async with self._database.transaction() as tx:
                    page = await drain_page(self._store_of(tx, now), queue, offset)
                async with self._database.transaction() as tx:
                    offset = await rest_queue(self._store_of(tx, now), queue, turn, page)
        except Exception as fault:
            if is_transient(fault):
                raise
            pause = self._setbacks.fail(_queue_key(queue))
            log.exception("timers.queue_failed", queue=queue, reason=type(fault).__name__, seconds=pause)
        else:
            self._setbacks.succeed([_queue_key(queue)])

    async def _pause(self, fired: int) -> float:
        """Return how long to sleep: until the next is due, at most POLL_SECONDS.

        What was found due and did not fire is held by somebody or set aside: it can wait. What has become
        due since the look cannot.
        """
        until = await self._due.until_next()
        seconds = until.total_seconds() if until is not None else POLL_SECONDS
        if seconds <= 0 and self._found and not fired:
            return POLL_SECONDS
        return min(POLL_SECONDS, max(SHORTEST_SECONDS, seconds))


def _queue_key(queue: str) -> str:
    return f"queue {queue}"
