"""The port's `Bus` on Apache Kafka."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition

from shared.bus.group_commit import GroupCommit
from shared.bus.kafka.cluster import Cluster
from shared.bus.kafka.ending import end_consumer, start
from shared.bus.kafka.faults import in_time
from shared.bus.kafka.member import record_of
from shared.bus.kafka.options import CALL_SECONDS, KafkaOptions
from shared.bus.kafka.producer import Appender
from shared.bus.kafka.subscription import KafkaSubscription
from shared.bus.kafka.survey import problems, survey
from shared.bus.port import (
    BusUnavailable,
    LogIdentity,
    OffsetOutOfRange,
    Outgoing,
    Partition,
    Record,
    Subscription,
    UnknownTopic,
)
from shared.contracts.topics import TOPICS

ResultT = TypeVar("ResultT")

LOOK_MS = 500
# A request to the brokers costs as much as twenty messages in it, so that a crowd is gathered for so long.
GATHER_SECONDS = 0.003


class KafkaBus:
    """Topics of the registry on a cluster; nothing is created here (`leadline topics create`)."""

    def __init__(self, options: KafkaOptions) -> None:
        self.options = options
        self._cluster = Cluster(options)
        self._appender = Appender(options)
        self._appends = GroupCommit(self._append, seconds=CALL_SECONDS, pause=_gather)
        self._partitions: dict[str, int] = {}
        self._reader: Any = None
        self._reading = asyncio.Lock()
        self._ending: set[asyncio.Task[None]] = set()
        self._members: set[KafkaSubscription] = set()
        self._problems: Sequence[str] = ()

    async def append(self, messages: Sequence[Outgoing]) -> None:
        """Append durably; concurrent calls share a sending."""
        if not messages:
            return
        for topic in {message.topic for message in messages}:
            await self._partition_count(topic)
        await self._appends.append(messages)

    async def subscribe(self, group: str, topics: Sequence[str], member: str) -> Subscription:
        """Join `group`; partitions come with the first polls."""
        for topic in topics:
            await self._partition_count(topic)
        self._members = {one for one in self._members if not one.ended}
        subscription = KafkaSubscription(self.options, group, topics, member, self.heads)
        await subscription.join()
        self._members.add(subscription)
        return subscription

    async def identity(self) -> LogIdentity:
        """Return the cluster's id, with the prefix of our topics there, and the topics' ids."""
        found = await self._cluster.describe([self.options.topic(topic.name) for topic in TOPICS])
        if not found.cluster:
            # The protocol allows it; agreed on, it would be another log than the next answer's.
            raise BusUnavailable("the cluster does not tell its id")
        names = {self.options.topic(topic.name): topic.name for topic in TOPICS}
        # One that the broker asked has not heard of yet is not gone.
        self._partitions |= {names[name]: topic.partitions for name, topic in found.topics.items()}
        ids = {names[name]: topic.topic_id for name, topic in found.topics.items()}
        # Other topics of the same cluster are another log.
        return LogIdentity("/".join(filter(None, (found.cluster, self.options.prefix))), ids)

    async def heads(self, topic: str) -> Mapping[Partition, tuple[int, int]]:
        """Return (first kept offset, next offset) of each partition."""
        name = self.options.topic(topic)
        places = [TopicPartition(name, number) for number in range(await self._partition_count(topic))]

        async def look() -> tuple[Mapping[TopicPartition, int], Mapping[TopicPartition, int]]:
            reader = await self._started_reader()
            return await reader.beginning_offsets(places), await reader.end_offsets(places)

        firsts, ends = await self._look(look)
        return {Partition(topic, place.partition): (firsts[place], ends[place]) for place in places}

    async def browse(self, place: Partition, position: int, *, max_records: int) -> Sequence[Record]:
        """Return what lies at and after `position`."""
        first, end = (await self.heads(place.topic))[place]
        if not first <= position <= end:
            raise OffsetOutOfRange(place, position, first, end)
        theirs = TopicPartition(self.options.topic(place.topic), place.number)

        async def look() -> Sequence[Any]:
            reader = await self._started_reader()
            reader.assign([theirs])
            reader.seek(theirs, position)
            while position < end:
                found = await reader.getmany(theirs, timeout_ms=LOOK_MS, max_records=max_records)
                if found:
                    return list(found[theirs])
                # Nothing but gaps up to the end.
                if await reader.position(theirs) >= end:
                    break
            return ()

        return [record_of(place, record) for record in await self._look(look)]

    async def maintain(self) -> Sequence[str]:
        """Return what has come to be wrong with the topics; the cluster keeps them by itself."""
        found = problems(self.options, await survey(self.options))
        fresh = [problem for problem in found if problem not in self._problems]
        self._problems = found
        return fresh

    async def close(self) -> None:
        """Finish the append under way; later ones raise BusUnavailable. Members that are left leave."""
        await self._appends.close()
        for member in self._members:
            await member.leave()
        await self._appender.close()
        self._drop_reader()
        if self._ending:
            await asyncio.wait(self._ending)
        await self._cluster.close()

    async def _partition_count(self, topic: str) -> int:
        if topic not in self._partitions:
            await self.identity()
        try:
            return self._partitions[topic]
        except KeyError:
            raise UnknownTopic(
                f"the cluster has no topic {self.options.topic(topic)!r}; has `leadline topics create` run?"
            ) from None

    async def _append(self, messages: Sequence[Outgoing]) -> None:
        await self._appender.send(messages, self._partitions)

    async def _started_reader(self) -> Any:
        if self._reader is None:
            reader = AIOKafkaConsumer(**self.options.reader())
            try:
                await start(reader.start())
            except BaseException:
                await end_consumer(reader)
                raise
            self._reader = reader
        return self._reader

    async def _look(self, work: Callable[[], Awaitable[ResultT]]) -> ResultT:
        """One look at a time, since the reader has one assignment; the wait for it counts too."""
        return await in_time(self._look_alone(work))

    async def _look_alone(self, work: Callable[[], Awaitable[ResultT]]) -> ResultT:
        async with self._reading:
            try:
                return await work()
            except BaseException:
                # Failed or cut short, in whatever state that has left it: the next look makes one anew.
                self._drop_reader()
                raise

    def _drop_reader(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            task = asyncio.create_task(end_consumer(reader))
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)


async def _gather() -> None:
    await asyncio.sleep(GATHER_SECONDS)


@asynccontextmanager
async def open_kafka_bus(options: KafkaOptions) -> AsyncIterator[KafkaBus]:
    """Open the bus; clients connect at first use, so a cluster that is away keeps nobody from starting."""
    bus = KafkaBus(options)
    try:
        yield bus
    finally:
        await bus.close()
