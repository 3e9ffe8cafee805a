"""The relay: sends what the outbox holds to the bus, once for each marking, in the order of the ids.

Wire it in a bootstrap: `Relay(bus, database, feed_types=FEED, keep=timedelta(days=30))`; it is a Runner.
"""

import asyncio
import uuid
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

import asyncpg
import structlog

from shared.bus.port import Bus, BusUnavailable, Outgoing
from shared.contracts.envelope import Attributes, to_headers
from shared.db.database import Database
from shared.db.errors import is_transient
from shared.db.listen import listening
from shared.db.role_lease import LeaseLost, RoleLease
from shared.observability import metrics
from shared.outbox.append import sent_id
from shared.outbox.feed_wakeup import tell_readers
from shared.outbox.rows import Unsent, delete_old, mark_sent, select_unsent
from shared.outbox.wakeup import channel, relay_here

log = structlog.get_logger(__name__)

ROLE = "relay"
# Housekeeping comes between two sendings, so it is done in small pieces.
DELETE_BATCHES = 20


@dataclass(frozen=True, slots=True)
class RelayOptions:
    """How a relay behaves. Times in seconds. `sweep_seconds` alone keeps p99 of sending under 1 s."""

    batch: int = 500
    sweep_seconds: float = 0.25
    lease_seconds: float = 5.0
    housekeeping_seconds: float = 60.0
    first_pause_seconds: float = 0.05
    longest_pause_seconds: float = 2.0


class Relay:
    """A Runner: one per service at a time by a lease, others stand by.

    `feed_types` are the event types that get a number in the public feed, in the transaction that marks
    them sent. Rows sent longer ago than `keep` are deleted. `source` is the CloudEvents source.
    """

    def __init__(
        self,
        bus: Bus,
        database: Database,
        *,
        feed_types: Collection[str] = (),
        keep: timedelta = timedelta(days=7),
        source: str | None = None,
        holder: str | None = None,
        options: RelayOptions | None = None,
    ) -> None:
        self._bus = bus
        self._database = database
        self._feed_types = frozenset(feed_types)
        self._keep = keep
        self._source = source or f"leadline/{database.schema}"
        self._options = options or RelayOptions()
        holder = holder or f"relay-{uuid.uuid4().hex[:12]}"
        self._lease = RoleLease(database, ROLE, holder, self._options.lease_seconds)
        self._take_lease_at = 0.0
        self._clean_at = 0.0
        self._woken = asyncio.Event()

    async def run(self, stop: asyncio.Event) -> None:
        """Send until `stop`; finish the batch in hand and give the lease up."""
        schema = self._database.schema
        async with (
            relay_here(schema, self._woken.set),
            listening(self._database.pool, channel(schema), self._woken.set),
        ):
            try:
                await self._loop(stop)
            finally:
                with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError):
                    await asyncio.wait_for(self._lease.give_up(), timeout=2)

    async def _loop(self, stop: asyncio.Event) -> None:
        pause = self._options.first_pause_seconds
        while not stop.is_set():
            self._woken.clear()
            try:
                sent = await self.turn()
                pause = self._options.first_pause_seconds
            except LeaseLost as lost:
                log.warning("relay_fenced", reason=str(lost))
                self._take_lease_at = 0.0
                continue
            except Exception as fault:
                if not (isinstance(fault, BusUnavailable) or is_transient(fault)):
                    raise
                log.warning("relay_waits", schema=self._database.schema, reason=type(fault).__name__)
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), pause)
                pause = min(2 * pause, self._options.longest_pause_seconds)
                continue
            if sent < self._options.batch:
                await self._rest(stop)

    async def turn(self) -> int:
        """Send one batch if the lease is ours; return how many rows were sent. One step of `run`."""
        if not await self._leads():
            return 0
        rows, epoch = await select_unsent(self._database, limit=self._options.batch)
        if rows:
            await self._bus.append([self._message(row, epoch) for row in rows])
            await self._mark(rows, epoch)
            self._count(rows)
        await self._clean()
        return len(rows)

    async def _leads(self) -> bool:
        now = asyncio.get_running_loop().time()
        if now < self._take_lease_at:
            return self._lease.epoch > 0
        led = self._lease.epoch > 0
        leads = await self._lease.take()
        # A holder extends well before the end; who stands by looks as often.
        self._take_lease_at = now + self._options.lease_seconds / 4
        if leads and not led:
            log.info("relay_leads", schema=self._database.schema, epoch=self._lease.epoch)
        return leads

    async def _mark(self, rows: Sequence[Unsent], epoch: int) -> None:
        """Record the sending under the lease: who lost it meanwhile records nothing."""
        async with self._database.transaction() as tx:
            await self._lease.check(tx)
            await mark_sent(tx, [row.id for row in rows], epoch=epoch, feed_types=sorted(self._feed_types))
            if any(row.type in self._feed_types for row in rows):
                await tell_readers(tx)

    async def _clean(self) -> None:
        now = asyncio.get_running_loop().time()
        if now < self._clean_at:
            return
        self._clean_at = now + self._options.housekeeping_seconds
        for _ in range(DELETE_BATCHES):
            if not await delete_old(self._database, self._keep):
                break
        for alarm in await self._bus.maintain():
            metrics.BUS_ALARMS.labels(self._database.schema).inc()
            log.error("bus_alarm", reason=alarm)

    def _count(self, rows: Sequence[Unsent]) -> None:
        metrics.RELAYED.labels(self._database.schema).inc(len(rows))
        ages = metrics.OUTBOX_SECONDS.labels(self._database.schema)
        for row in rows:
            ages.observe(row.age_seconds)

    def _message(self, row: Unsent, epoch: int) -> Outgoing:
        attributes = Attributes(
            id=sent_id(row.event_id),
            source=self._source,
            type=row.type,
            time=row.time,
            key=row.key,
            epoch=epoch,
        )
        return Outgoing(row.topic, row.key, to_headers(attributes), row.payload)

    async def _rest(self, stop: asyncio.Event) -> None:
        """Wait to be woken, to be stopped, or for the sweep."""
        waits = [asyncio.create_task(event.wait()) for event in (self._woken, stop)]
        await asyncio.wait(waits, timeout=self._options.sweep_seconds, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
