"""The registry's topics on a cluster: created from it, and how far their readers are."""

import asyncio
from collections.abc import Sequence
from typing import Any

from aiokafka import errors
from aiokafka.admin import NewTopic

from shared.bus.kafka.administrator import administrator
from shared.bus.kafka.bus import KafkaBus
from shared.bus.kafka.cluster import Cluster
from shared.bus.kafka.faults import in_time
from shared.bus.kafka.options import KafkaOptions
from shared.bus.kafka.survey import WANTED_REPLICAS, describe, settings_of
from shared.bus.port import BusUnavailable
from shared.contracts.topics import TOPICS, consumer_group

ADMIN_SECONDS = 30.0
LOOK_SECONDS = 0.05


class TooFewBrokers(BusUnavailable):
    """Fewer brokers are there than copies are asked for: perhaps some are away."""


class CannotCreate(Exception):
    """The cluster refuses a topic, and will go on refusing it: the text says which and why."""


async def create(options: KafkaOptions, *, copies: int | None = None) -> Sequence[str]:
    """Create the topics that are missing; return their names on the cluster.

    Each gets so many `copies`, or else as many as there are brokers at this moment, three at most: that is
    for good. Raises BusUnavailable, TooFewBrokers, CannotCreate.
    """
    found = await describe(options)
    replicas = copies or min(WANTED_REPLICAS, found.brokers)
    missing = [topic for topic in TOPICS if options.topic(topic.name) not in found.topics]
    wanted = [
        NewTopic(
            options.topic(topic.name), topic.partitions, replicas, topic_configs=settings_of(topic, replicas)
        )
        for topic in missing
    ]
    if wanted:
        async with administrator(options) as admin:
            answer = await in_time(admin.create_topics(wanted), ADMIN_SECONDS)
        for name, code, reason, *_ in answer.topic_errors:
            _check_answer(name, errors.for_code(code), reason)
        await in_time(_until_all_are_there(options), ADMIN_SECONDS)
    return [one.name for one in wanted]


def _check_answer(name: str, fault: Any, reason: str | None) -> None:
    # Another one creates them at the same time: then they are there.
    if fault in (errors.NoError, errors.TopicAlreadyExistsError):
        return
    text = f"topic {name}: {reason or fault.description}"
    # A broker that was counted a moment ago is away, and the next try counts anew.
    if fault is errors.InvalidReplicationFactorError:
        raise TooFewBrokers(text)
    if fault.retriable:
        raise BusUnavailable(text)
    raise CannotCreate(text)


async def _until_all_are_there(options: KafkaOptions) -> None:
    """Wait until every broker knows what the controller has created: it takes them a moment."""
    cluster = Cluster(options)
    try:
        names = [options.topic(topic.name) for topic in TOPICS]
        while not await cluster.known_to_all(names):  # noqa: ASYNC110 nobody tells us
            await asyncio.sleep(LOOK_SECONDS)
    finally:
        await cluster.close()


async def lag(options: KafkaOptions) -> Sequence[dict[str, str | int]]:
    """Return group, topic and how far it is behind, as the groups have told; raise BusUnavailable."""
    bus = KafkaBus(options)
    try:
        async with administrator(options) as admin:
            return [
                {"group": group, "topic": options.topic(topic.name), "behind": behind}
                for topic in TOPICS
                for group in (options.prefix + consumer_group(service) for service in topic.consumers)
                for behind in [await _behind(admin, bus, group, topic.name)]
            ]
    finally:
        await bus.close()


async def _behind(admin: Any, bus: KafkaBus, group: str, topic: str) -> int:
    told = await in_time(admin.list_consumer_group_offsets(group))
    reached = {(place.topic, place.partition): found.offset for place, found in told.items()}
    return sum(
        end - max(first, reached.get((bus.options.topic(topic), place.number), first))
        for place, (first, end) in (await bus.heads(topic)).items()
    )
