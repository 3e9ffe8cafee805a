"""One membership of a group on Kafka: the group deals partitions, the positions are the consumer's own."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import (
    CorruptRecordException,
    IllegalStateError,
    KafkaError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
)

from shared.bus.kafka.ending import end_consumer, start
from shared.bus.kafka.faults import in_time
from shared.bus.kafka.options import KafkaOptions
from shared.bus.port import BusForbids, BusUnavailable, Fetched, OffsetOutOfRange, Partition, Record

log = structlog.get_logger(__name__)

# How long a partition is left alone of which the broker gives what its checksum contradicts.
DAMAGED_SECONDS = 5.0
# How often the cluster is told the group's offsets, for displays of lag; nothing here reads them.
TELL_SECONDS = 5.0


class Damaged(BusUnavailable):
    """A broker gives what its checksum contradicts: that partition is left alone for now, the member goes on.

    Raised for the consumer to wait and say so: it is not stuck.
    """


class Rebalances(ConsumerRebalanceListener):  # type: ignore[misc]  # the library is untyped
    """Notes what was dealt; the library swallows exceptions here, so nothing that may fail is done."""

    def __init__(self) -> None:
        self.assigned: frozenset[TopicPartition] = frozenset()
        self.generation = 0
        self.changed = asyncio.Event()
        self.consumer: Any = None

    def on_partitions_revoked(self, revoked: Any) -> None:  # noqa: ARG002 the library's name
        self._note(frozenset())

    def on_partitions_assigned(self, assigned: Any) -> None:
        # Nothing may be fetched before the consumer has said from where: not at a committed offset either.
        for place in assigned:
            self.consumer.seek(place, 0)
        self.consumer.pause(*assigned)
        self._note(frozenset(assigned))

    def _note(self, assigned: frozenset[TopicPartition]) -> None:
        self.assigned = assigned
        self.generation += 1
        self.changed.set()


class Member:
    """One membership, from joining to leaving. Not to be used on after a fault (see `KafkaSubscription`)."""

    def __init__(self, options: KafkaOptions, consumer: Any, rebalances: Rebalances, heads: Any) -> None:
        self._options = options
        self._consumer = consumer
        self._rebalances = rebalances
        self._heads = heads
        self._seen = 0
        self._assigned: frozenset[Partition] = frozenset()
        # Where the library reads on; a partition that is not here is paused.
        self._reading: dict[TopicPartition, int] = {}
        # Until when those are not read in which something is damaged.
        self._damaged: dict[TopicPartition, float] = {}
        self._tell_at = time.monotonic() + TELL_SECONDS
        self._telling: asyncio.Task[None] | None = None

    @property
    def assigned(self) -> frozenset[Partition]:
        """The partitions dealt to this member, as of its last poll."""
        return self._assigned

    async def poll(
        self, positions: Mapping[Partition, int], *, max_records: int, timeout_seconds: float
    ) -> Sequence[Fetched]:
        """Take over what was dealt, seek, pause and resume as asked, then fetch."""
        if self._rebalances.generation != self._seen:
            self._take_over()
            return ()
        self._aim(positions)
        self._tell(positions)
        self._rebalances.changed.clear()
        if self._rebalances.generation != self._seen:
            return ()
        found = await self._fetch(max_records, timeout_seconds)
        if self._rebalances.generation != self._seen:
            # What came may be of a partition that is another's now; it lies before nobody's position.
            self._take_over()
            return ()
        return self._parts(found)

    async def leave(self) -> None:
        """Leave the group, so that the others need not wait for the session to end."""
        if self._telling is not None:
            self._telling.cancel()
        await end_consumer(self._consumer)

    def _take_over(self) -> None:
        self._seen = self._rebalances.generation
        self._reading.clear()
        self._assigned = frozenset(
            self._options.place(place.topic, place.partition) for place in self._rebalances.assigned
        )

    def _aim(self, positions: Mapping[Partition, int]) -> None:
        """Let the library read at `positions` and nowhere else."""
        now = time.monotonic()
        asked = {self._theirs(place): at for place, at in positions.items() if place in self._assigned}
        wanted = {place: at for place, at in asked.items() if self._damaged.get(place, now) <= now}
        moved = {place: at for place, at in wanted.items() if self._reading.get(place) != at}
        with suppress(IllegalStateError):  # revoked this instant: the next poll takes over
            self._consumer.pause(*(self._reading.keys() - wanted.keys()))
            for place, at in moved.items():
                self._consumer.seek(place, at)
            self._consumer.resume(*(wanted.keys() - self._reading.keys()))
        self._reading = wanted

    def _theirs(self, place: Partition) -> TopicPartition:
        return TopicPartition(self._options.topic(place.topic), place.number)

    async def _fetch(self, max_records: int, timeout_seconds: float) -> dict[TopicPartition, list[Any]]:
        if self._consumer._fetcher._fetch_task.done():
            # Nothing would ever come again, and the library does not say so.
            raise BusUnavailable("the client fetches no more")
        fetching = asyncio.ensure_future(
            self._consumer.getmany(timeout_ms=int(timeout_seconds * 1000), max_records=max_records)
        )
        fetching.add_done_callback(self._count_ended)
        changed = asyncio.ensure_future(self._rebalances.changed.wait())
        try:
            await asyncio.wait([fetching, changed], return_when=asyncio.FIRST_COMPLETED)
        finally:
            changed.cancel()
            if not fetching.done():
                # Cut short by a rebalance or a stop: what was taken out of the buffer is sought again.
                fetching.cancel()
                self._reading.clear()
        if not fetching.done():
            return {}
        if fetching.cancelled():
            # Not by us, above: the library lets out that a task of its own was ended, and starts none again.
            raise BusUnavailable("the client gave up")
        try:
            return await in_time(fetching)
        except BusUnavailable as away:
            cause = away.__cause__
            if isinstance(cause, NoOffsetForPartitionError):
                return {}
            if isinstance(cause, OffsetOutOfRangeError):
                await self._raise_out_of_range(cause)
            if isinstance(cause, CorruptRecordException) and self._leave_alone(cause):
                raise Damaged("a batch is damaged") from cause
            raise

    def _count_ended(self, fetching: "asyncio.Future[Any]") -> None:
        """Count a fetch that did not end well as ended, which the library does not (`fetch_context`).

        It would take this member for one that polls, for ever, and never let others have its partitions.
        """
        if fetching.cancelled() or fetching.exception() is not None:
            state = self._consumer._subscription
            # It may have ended before it was counted.
            state._fetch_count = max(0, state._fetch_count - 1)
            state._last_fetch_ended = time.monotonic()

    async def _raise_out_of_range(self, fault: OffsetOutOfRangeError) -> None:
        (place, at), *_ = fault.args[0].items()
        ours = self._options.place(place.topic, place.partition)
        self._reading.pop(place, None)
        first, end = (await self._heads(ours.topic))[ours]
        raise OffsetOutOfRange(ours, at, first, end) from fault

    def _leave_alone(self, fault: CorruptRecordException) -> bool:
        """Read no more of the partition that is damaged for now; return whether it is known which one is.

        Another replica may lead soon, and hold it whole; until then the others shall not wait for it.
        """
        named = [place for place in self._reading if str(place) in str(fault)]
        for place in named:
            self._damaged[place] = time.monotonic() + DAMAGED_SECONDS
            log.error(
                "bus_batch_damaged",
                topic=place.topic,
                partition=place.partition,
                offset=self._reading[place],
            )
        with suppress(IllegalStateError):  # revoked this instant: the next poll takes over
            self._consumer.pause(*named)
        # What the library had taken out for others is sought again.
        self._reading.clear()
        return bool(named)

    def _parts(self, found: Mapping[TopicPartition, Sequence[Any]]) -> list[Fetched]:
        parts = []
        for place, records in found.items():
            at = self._reading.get(place)
            if at is None or not records:
                continue
            ours = self._options.place(place.topic, place.partition)
            read = tuple(record_of(ours, record) for record in records)
            self._reading[place] = read[-1].offset + 1
            parts.append(Fetched(ours, at, read[-1].offset + 1, read))
        return parts

    def _tell(self, positions: Mapping[Partition, int]) -> None:
        now = time.monotonic()
        if now < self._tell_at or not positions or (self._telling and not self._telling.done()):
            return
        self._tell_at = now + TELL_SECONDS
        offsets = {self._theirs(place): at for place, at in positions.items()}
        self._telling = asyncio.create_task(self._commit(offsets))

    async def _commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        # It hangs while the coordinator is away, and is refused in a rebalance; the next one tells the same.
        with suppress(BusUnavailable, BusForbids, KafkaError):
            await in_time(self._consumer.commit(dict(offsets)), TELL_SECONDS)


def record_of(place: Partition, record: Any) -> Record:
    """Return a record of the library as the port's."""
    return Record(
        partition=place,
        offset=record.offset,
        # Ours are UTF-8. Whoever wrote another one shall not stop the reader: the message tells what it is.
        key=(record.key or b"").decode(errors="replace"),
        headers=tuple((name, value or b"") for name, value in record.headers),
        value=record.value or b"",
        appended_at=datetime.fromtimestamp(record.timestamp / 1000, UTC),
    )


async def join(options: KafkaOptions, group: str, topics: Sequence[str], member: str, heads: Any) -> Member:
    """Start a member of `group`; raise BusUnavailable."""
    rebalances = Rebalances()
    consumer = AIOKafkaConsumer(group_id=options.prefix + group, client_id=member, **options.member())
    rebalances.consumer = consumer
    try:
        await in_time(start(consumer.start()))
    except BaseException:
        await end_consumer(consumer)
        raise
    # Not before: starting would wait for the first rebalance, which takes as long as a session.
    consumer.subscribe([options.topic(topic) for topic in topics], listener=rebalances)
    return Member(options, consumer, rebalances, heads)
