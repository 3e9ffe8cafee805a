"""The consumer loop: a batch, its effects and the position after it are one transaction of the database.

Wire it in a bootstrap: `Consumer(bus, database, group=consumer_group("scoring"), topics=[ACTIVITY.name],
handler=handle_activity)`; it is a Runner. The handler gets batches of one topic, in order in each partition.
"""

import asyncio
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import structlog

from shared.bus.port import (
    Bus,
    BusUnavailable,
    Fetched,
    LogIdentity,
    OffsetOutOfRange,
    Partition,
    Record,
    Subscription,
)
from shared.consumer.batch import BatchSize, by_topic, describe, halves, records_of
from shared.consumer.dead_letters import hold
from shared.consumer.outcome import Handler, Rejection, Retry
from shared.consumer.positions import Fenced, Position, WrongLog, advance, claim, count_rejected
from shared.consumer.watchdog import ConsumerStuck, Progress, watch
from shared.contracts.topics import ACTIVITY
from shared.db.database import Database
from shared.db.errors import is_transient
from shared.observability import metrics

log = structlog.get_logger(__name__)


class TooManyFailures(Exception):
    """Message after message fails: this is a bad deploy, not bad messages. Nothing more is dead-lettered."""


@dataclass(frozen=True, slots=True)
class ConsumerOptions:
    """How a consumer behaves. Times in seconds.

    `old_epochs_of`: topics whose messages of an epoch before the installation's are handled, not skipped.
    `attempts`: tries of a failing batch before it is taken apart. `stop_after`: bugs in a row in a partition.
    """

    max_records: int = 200
    poll_seconds: float = 0.5
    attempts: int = 3
    stop_after: int = 10
    first_pause_seconds: float = 0.1
    longest_pause_seconds: float = 5.0
    stuck_after_seconds: float = 60.0
    old_epochs_of: frozenset[str] = frozenset({ACTIVITY.name})


class Consumer:
    """A Runner that reads `topics` for `group` and calls `handler`, exactly once in effect.

    Ends by raising: WrongLog, OffsetOutOfRange (the log lost messages we had not read), TooManyFailures,
    ConsumerStuck; each names what to do. Faults of the bus and the database are waited out.
    """

    def __init__(
        self,
        bus: Bus,
        database: Database,
        *,
        group: str,
        topics: Sequence[str],
        handler: Handler,
        member: str | None = None,
        lane: int = 0,
        options: ConsumerOptions | None = None,
    ) -> None:
        """`lane` tells consumers of one process apart in the metrics."""
        self.group = group
        self._lane = str(lane)
        self.topics = tuple(topics)
        self._bus = bus
        self._database = database
        self._handler = handler
        self._member = member or f"{group}-{uuid.uuid4().hex[:12]}"
        self._options = options or ConsumerOptions()
        self._size = BatchSize(min(50, self._options.max_records), self._options.max_records)
        self._subscription: Subscription | None = None
        self._log = LogIdentity("", {})
        self._claimed: dict[Partition, Position] = {}
        self._epoch = 0
        self._setbacks = 0
        self.progress = Progress()

    async def run(self, stop: asyncio.Event) -> None:
        """Consume until `stop`; leave the group so that others take over at once."""
        loop = asyncio.create_task(self._loop(stop))
        guard = asyncio.create_task(
            watch(
                self.progress,
                self._lag,
                stuck_after_seconds=self._options.stuck_after_seconds,
                who=self.group,
            )
        )
        try:
            await asyncio.wait([loop, guard], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (loop, guard):
                if not task.done():
                    task.cancel()
            # A task that does not even end when cancelled must not keep a stuck process alive.
            await asyncio.wait([loop, guard], timeout=5)
        try:
            if not guard.cancelled():
                guard.result()
            loop.result()
        except (WrongLog, OffsetOutOfRange, TooManyFailures, ConsumerStuck) as stop_reason:
            # Logged here, since these texts are ours and hold no personal data; others' are not logged.
            log.critical("consumer_stopped", group=self.group, reason=str(stop_reason))
            raise

    async def _loop(self, stop: asyncio.Event) -> None:
        try:
            while not stop.is_set():
                try:
                    await self._turn()
                    self._setbacks = 0
                except Fenced as fenced:
                    metrics.CONSUMER_SETBACKS.labels(self.group, "fenced").inc()
                    log.warning("consumer_fenced", group=self.group, reason=str(fenced))
                    await self._rejoin()
                except Exception as fault:
                    if not _is_setback(fault):
                        raise
                    # A time-out perhaps, of the database or of the bus: less may fit.
                    if is_transient(fault) or isinstance(fault, BusUnavailable):
                        self._size = self._size.smaller(self._size.now)
                    await self._wait_out(fault, stop)
        finally:
            await self._rejoin()

    async def _turn(self) -> None:
        """Poll once, take over what is newly assigned, handle what came."""
        if self._subscription is None:
            self._subscription = await self._bus.subscribe(self.group, self.topics, self._member)
        positions = {place: position.next_offset for place, position in self._claimed.items()}
        fetched = await self._subscription.poll(
            positions, max_records=self._size.now, timeout_seconds=self._options.poll_seconds
        )
        await self._follow(self._subscription.assigned)
        # A transaction for each topic: one use case locks all that it needs at once, in order. Two of them
        # after one another would lock what comes first after what comes last.
        for batch in by_topic([part for part in fetched if part.partition in self._claimed]):
            await self._handle(batch)

    async def _rejoin(self) -> None:
        """Forget every claim and leave; the next turn joins anew and claims only what is assigned then."""
        self._claimed.clear()
        subscription, self._subscription = self._subscription, None
        if subscription is not None:
            with suppress(BusUnavailable):
                await subscription.leave()

    async def _follow(self, assigned: frozenset[Partition]) -> None:
        for place in self._claimed.keys() - assigned:
            del self._claimed[place]
        new = assigned - self._claimed.keys()
        if not new:
            return
        self._log = await self._bus.identity()
        heads: dict[Partition, tuple[int, int]] = {}
        for topic in {place.topic for place in new}:
            heads.update(await self._bus.heads(topic))
        async with self._database.transaction() as tx:
            self._epoch = await tx.connection.fetchval("SELECT platform.current_epoch()")
            claimed = await claim(tx, self.group, {place: heads[place][0] for place in new}, self._log)
        self._claimed.update(claimed)
        log.info("consumer_claimed", group=self.group, partitions=len(new), held=len(self._claimed))

    async def _handle(self, batch: Sequence[Fetched]) -> None:
        try:
            await self._commit(batch)
        except Exception as fault:
            if _is_setback(fault):
                raise
            await self._try_again(batch, fault)

    async def _commit(self, batch: Sequence[Fetched]) -> None:
        """One transaction: fence and position, the handler's changes, its dead letters."""
        started = asyncio.get_running_loop().time()
        records = [record for record in records_of(batch) if self._is_current(record)]
        async with self._database.transaction() as tx:
            moved = await advance(tx, self.group, batch, self._claimed)
            rejections = await self._handler(tx, records) if records else ()
            if rejections:
                await hold(tx, self.group, self._log.topics, rejections)
                await count_rejected(tx, self.group, _count(rejections))
        self._claimed.update(moved)
        seconds = asyncio.get_running_loop().time() - started
        self._size = self._size.after(seconds, len(records))
        self.progress.made()
        self._measure(batch, records, rejections, seconds)
        for rejection in rejections:
            log.warning("message_rejected", code=rejection.code, **self._origin(rejection.record))

    async def _try_again(self, batch: Sequence[Fetched], fault: Exception) -> None:
        """A bug: a few more tries of the whole, then take it apart until what fails stands alone."""
        for attempt in range(1, self._options.attempts):
            log.warning("batch_failed", group=self.group, attempt=attempt, reason=describe(fault))
            await asyncio.sleep(self._pause_seconds(attempt - 1))
            try:
                return await self._commit(batch)
            except Exception as again:
                if _is_setback(again):
                    raise
                fault = again
        return await self._isolate(batch, fault)

    async def _isolate(self, batch: Sequence[Fetched], fault: Exception) -> None:
        if len(batch) == 1 and len(batch[0].records) == 1:
            return await self._bury(batch[0], fault)
        for half in halves(batch):
            try:
                await self._commit(half)
            except Exception as again:
                if _is_setback(again):
                    raise
                await self._isolate(half, again)
        return None

    async def _bury(self, part: Fetched, fault: Exception) -> None:
        """Dead-letter the one message that fails, unless too many did before it."""
        (record,) = part.records
        failed = self._claimed[part.partition].failed_in_a_row
        if failed + 1 >= self._options.stop_after:
            raise TooManyFailures(
                f"group {self.group}: {failed + 1} messages in a row failed in {part.partition.topic}/"
                f"{part.partition.number}, the last at offset {record.offset} with {describe(fault)}; nothing"
                " more is dead-lettered. Mend the handler, or set them aside too: leadline deadletters resume"
            ) from fault
        rejection = Rejection(record, "handler_failed", describe(fault))
        async with self._database.transaction() as tx:
            moved = await advance(tx, self.group, [part], self._claimed, failed=True)
            await hold(tx, self.group, self._log.topics, [rejection])
            await count_rejected(tx, self.group, {part.partition: 1})
        self._claimed.update(moved)
        self.progress.made()
        metrics.CONSUMED.labels(self.group, "failed").inc()
        log.error("message_failed", reason=describe(fault), **self._origin(record))

    async def _wait_out(self, fault: Exception, stop: asyncio.Event) -> None:
        """Back off, keeping the membership alive by polls that ask for nothing."""
        metrics.CONSUMER_SETBACKS.labels(self.group, "waited").inc()
        pause = self._pause_seconds(self._setbacks)
        self._setbacks += 1
        log.warning("consumer_waits", group=self.group, reason=describe(fault), seconds=round(pause, 2))
        clock = asyncio.get_running_loop()
        until = clock.time() + pause
        self.progress.made()
        while not stop.is_set() and (left := until - clock.time()) > 0:
            if self._subscription is None or isinstance(fault, BusUnavailable):
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), left)
            else:
                try:
                    await self._subscription.poll(
                        {}, max_records=1, timeout_seconds=min(left, self._options.poll_seconds)
                    )
                except BusUnavailable as also:
                    fault = also

    def _pause_seconds(self, attempt: int) -> float:
        pause: float = self._options.first_pause_seconds * 2 ** min(attempt, 16)
        return min(pause, self._options.longest_pause_seconds)

    def _is_current(self, record: Record) -> bool:
        """Whether the message is of the installation's present epoch, or its topic is read regardless."""
        if record.partition.topic in self._options.old_epochs_of:
            return True
        stamped = dict(record.headers).get("ce_epoch", b"")
        return not stamped.isdigit() or int(stamped) >= self._epoch

    async def _lag(self) -> int:
        """Return how many offsets lie before this member's claims."""
        claimed = dict(self._claimed)
        lag = 0
        for topic in {place.topic for place in claimed}:
            heads = await self._bus.heads(topic)
            lag += sum(heads[place][1] - claimed[place].next_offset for place in claimed if place in heads)
        metrics.CONSUMER_LAG.labels(self.group, self._lane).set(lag)
        return lag

    def _measure(
        self,
        batch: Sequence[Fetched],
        records: Sequence[Record],
        rejections: Sequence[Rejection],
        seconds: float,
    ) -> None:
        metrics.CONSUMER_BATCH_SECONDS.labels(self.group).observe(seconds)
        metrics.CONSUMED.labels(self.group, "handled").inc(len(records) - len(rejections))
        metrics.CONSUMED.labels(self.group, "rejected").inc(len(rejections))
        metrics.CONSUMED.labels(self.group, "skipped").inc(len(records_of(batch)) - len(records))

    def _origin(self, record: Record) -> dict[str, str | int]:
        place = record.partition
        return {
            "group": self.group,
            "topic": place.topic,
            "partition": place.number,
            "offset": record.offset,
        }


def _is_setback(fault: Exception) -> bool:
    """Whether nothing is wrong with the messages: a dependency is away, or the partition is not ours."""
    return isinstance(fault, Retry | BusUnavailable | Fenced) or is_transient(fault)


def _count(rejections: Sequence[Rejection]) -> Mapping[Partition, int]:
    counts: dict[Partition, int] = {}
    for rejection in rejections:
        place = rejection.record.partition
        counts[place] = counts.get(place, 0) + 1
    return counts
