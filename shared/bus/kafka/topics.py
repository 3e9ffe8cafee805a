"""The registry's topics on a cluster: created from it, and compared with it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from aiokafka import errors
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from shared.bus.kafka.bus import KafkaBus
from shared.bus.kafka.cluster import Cluster, ClusterFound
from shared.bus.kafka.ending import end_client, start
from shared.bus.kafka.faults import in_time
from shared.bus.kafka.options import KafkaOptions
from shared.contracts.topics import TOPICS, Topic, consumer_group

# What makes an acknowledged message survive the loss of any one broker.
WANTED_REPLICAS = 3
WANTED_IN_SYNC = 2
ADMIN_SECONDS = 30.0
LOOK_SECONDS = 0.05


def settings_of(topic: Topic, replicas: int) -> dict[str, str]:
    """Return the topic's configuration on a cluster that keeps `replicas` copies of it."""
    return {
        "retention.ms": str(topic.retention // timedelta(milliseconds=1)),
        "min.insync.replicas": str(max(1, min(WANTED_IN_SYNC, replicas - 1))),
        "unclean.leader.election.enable": "false",
        "cleanup.policy": "delete",
    }


async def create(options: KafkaOptions) -> Sequence[str]:
    """Create the topics that are missing; return their names on the cluster. Raises BusUnavailable."""
    found = await describe(options)
    replicas = min(WANTED_REPLICAS, found.brokers)
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
        for name, code, *_ in answer.topic_errors:
            fault = errors.for_code(code)
            # Another one creates them at the same time: then they are there.
            if fault not in (errors.NoError, errors.TopicAlreadyExistsError):
                raise fault(name)
        await in_time(_until_all_are_there(options), ADMIN_SECONDS)
    return [one.name for one in wanted]


async def _until_all_are_there(options: KafkaOptions) -> None:
    """Wait until the brokers know what the controller has created: it takes them a moment."""
    while len((await describe(options)).topics) < len(TOPICS):  # noqa: ASYNC110 nobody tells us
        await asyncio.sleep(LOOK_SECONDS)


async def describe(options: KafkaOptions) -> ClusterFound:
    """Return what the cluster has of the registry's topics; raise BusUnavailable."""
    cluster = Cluster(options)
    try:
        return await cluster.describe([options.topic(topic.name) for topic in TOPICS])
    finally:
        await cluster.close()


def problems(options: KafkaOptions, found: ClusterFound) -> Sequence[str]:
    """Return in sentences what differs from the registry, and what a power cut could lose."""
    told: list[str] = []
    for topic in TOPICS:
        name = options.topic(topic.name)
        there = found.topics.get(name)
        if there is None:
            told.append(f"topic {name} is missing; create it: leadline topics create")
            continue
        if there.partitions != topic.partitions:
            told.append(
                f"topic {name} has {there.partitions} partitions, the registry says {topic.partitions}:"
                " keys would go to other partitions than before"
            )
        if there.replicas < WANTED_REPLICAS:
            told.append(
                f"topic {name} has {there.replicas} copies: the loss of a broker's disk may lose events"
            )
        elif there.in_sync < WANTED_IN_SYNC:
            told.append(
                f"topic {name} has {there.in_sync} copies in sync: it takes no events until there are two"
            )
    return told


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


@asynccontextmanager
async def administrator(options: KafkaOptions) -> AsyncIterator[Any]:
    """Open the library's admin client; raise BusUnavailable."""
    admin = AIOKafkaAdminClient(**options.client())
    try:
        await in_time(start(admin.start()))
        yield admin
    finally:
        await end_client(admin._client)
