"""Appending to Kafka: what waits goes out together, a batch for each partition, answered when all have it."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaProducer, TopicPartition

from shared.bus.kafka.ending import end_producer, start
from shared.bus.kafka.faults import in_time
from shared.bus.kafka.options import CALL_SECONDS, KafkaOptions
from shared.bus.partitioner import partition_of
from shared.bus.port import BusUnavailable, Outgoing

Place = tuple[str, int]


class Appender:
    """Sends messages; returns when every replica in sync has them. One producer, made anew after a fault."""

    def __init__(self, options: KafkaOptions) -> None:
        self._options = options
        self._producer: Any = None
        self._starting = asyncio.Lock()
        self._ending: set[asyncio.Task[None]] = set()

    async def send(self, messages: Sequence[Outgoing], partitions: Mapping[str, int]) -> None:
        """Send; `partitions` counts those of each topic. Raises BusUnavailable: some may have arrived."""
        try:
            await in_time(self._send(messages, partitions), CALL_SECONDS)
        except BusUnavailable:
            # One that timed out may be stuck for good (aiokafka #759, #1133); a new one costs a connection.
            self._discard()
            raise

    async def close(self) -> None:
        """End the producer, and those that are being ended."""
        self._discard()
        if self._ending:
            await asyncio.wait(self._ending)

    async def _send(self, messages: Sequence[Outgoing], partitions: Mapping[str, int]) -> None:
        producer = await self._started()
        sent: list[asyncio.Future[Any]] = []
        for (topic, number), mine in _by_place(messages, partitions).items():
            place = TopicPartition(self._options.topic(topic), number)
            sent += [await _sending(producer, batch, place) for batch in _batches(producer, mine)]
        await asyncio.gather(*sent)

    async def _started(self) -> Any:
        async with self._starting:
            if self._producer is None:
                producer = AIOKafkaProducer(**self._options.producer())
                try:
                    await start(producer.start())
                except BaseException:
                    self._end(producer)
                    raise
                self._producer = producer
            return self._producer

    def _discard(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            self._end(producer)

    def _end(self, producer: Any) -> None:
        task = asyncio.create_task(end_producer(producer))
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)


async def _sending(producer: Any, batch: Any, place: TopicPartition) -> "asyncio.Future[Any]":
    """Hand a batch to the producer; return what it will be answered by."""
    sending: asyncio.Future[Any] = await producer.send_batch(batch, place.topic, partition=place.partition)
    # Where the caller is cut short nobody waits any more, neither for this nor for the future behind it.
    for future in (sending, producer._message_accumulator._batches[place][-1].future):
        future.add_done_callback(_seen)
    return sending


def _seen(sending: "asyncio.Future[Any]") -> None:
    if not sending.cancelled():
        sending.exception()


def _by_place(messages: Sequence[Outgoing], partitions: Mapping[str, int]) -> dict[Place, list[Outgoing]]:
    places: dict[Place, list[Outgoing]] = {}
    for message in messages:
        place = (message.topic, partition_of(message.key, partitions[message.topic]))
        places.setdefault(place, []).append(message)
    return places


def _batches(producer: Any, messages: Sequence[Outgoing]) -> list[Any]:
    """Return the messages of one partition as batches that the producer may send, in order."""
    batches = [producer.create_batch()]
    for message in messages:
        fields = {
            "key": message.key.encode(),
            "value": message.value,
            "timestamp": None,
            "headers": list(message.headers),
        }
        if batches[-1].append(**fields) is None:
            batches.append(producer.create_batch())
            batches[-1].append(**fields)
    return batches
