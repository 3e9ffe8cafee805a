"""What a cluster has of the registry's topics, and in which points that is not what the promises need."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from shared.bus.kafka.administrator import administrator
from shared.bus.kafka.cluster import Cluster, ClusterFound, TopicFound
from shared.bus.kafka.faults import in_time
from shared.bus.kafka.options import KafkaOptions
from shared.contracts.topics import TOPICS, Topic

# What makes an acknowledged message survive the loss of any one broker.
WANTED_REPLICAS = 3
WANTED_IN_SYNC = 2


@dataclass(frozen=True, slots=True)
class Survey:
    """The topics found, and their settings by name; of those that may not be read, none."""

    found: ClusterFound
    settings: Mapping[str, Mapping[str, str]]


def settings_of(topic: Topic, replicas: int) -> dict[str, str]:
    """Return the topic's configuration on a cluster that keeps `replicas` copies of it."""
    return {
        "retention.ms": str(topic.retention // timedelta(milliseconds=1)),
        "min.insync.replicas": str(max(1, min(WANTED_IN_SYNC, replicas - 1))),
        "unclean.leader.election.enable": "false",
        "cleanup.policy": "delete",
    }


async def describe(options: KafkaOptions) -> ClusterFound:
    """Return what the cluster has of the registry's topics; raise BusUnavailable."""
    cluster = Cluster(options)
    try:
        return await cluster.describe([options.topic(topic.name) for topic in TOPICS])
    finally:
        await cluster.close()


async def survey(options: KafkaOptions) -> Survey:
    """Return the registry's topics with their settings; raise BusUnavailable."""
    found = await describe(options)
    if not found.topics:
        return Survey(found, {})
    async with administrator(options) as admin:
        wanted = [ConfigResource(ConfigResourceType.TOPIC, name) for name in sorted(found.topics)]
        answers = await in_time(admin.describe_configs(wanted))
    return Survey(
        found,
        {
            name: settings
            for answer in answers
            for resource in answer.resources
            for name, settings in [_settings(resource)]
            if settings
        },
    )


def _settings(resource: Any) -> tuple[str, dict[str, str]]:
    error, _, _, name, entries, *_ = resource
    return name, {} if error else {key: value or "" for key, value, *_ in entries}


def problems(options: KafkaOptions, surveyed: Survey) -> Sequence[str]:
    """Return in sentences what differs from the registry, and what the loss of a broker could cost."""
    told: list[str] = []
    for topic in TOPICS:
        name = options.topic(topic.name)
        there = surveyed.found.topics.get(name)
        if there is None:
            told.append(f"topic {name} is missing; create it: leadline topics create")
        else:
            told += _of_copies(topic, name, there)
            told += _of_settings(topic, name, there, surveyed.settings.get(name))
    return told


def _of_copies(topic: Topic, name: str, there: TopicFound) -> Sequence[str]:
    told = []
    if there.partitions != topic.partitions:
        told.append(
            f"topic {name} has {there.partitions} partitions, the registry says {topic.partitions}:"
            " keys would go to other partitions than before"
        )
    if there.replicas < WANTED_REPLICAS:
        told.append(
            f"topic {name} has {there.replicas} {'copy' if there.replicas == 1 else 'copies'}:"
            " the loss of a broker's disk may lose events"
        )
    elif there.in_sync < WANTED_IN_SYNC:
        told.append(
            f"topic {name} has {there.in_sync} copies in sync: it takes no events until there are two"
        )
    return told


def _of_settings(
    topic: Topic, name: str, there: TopicFound, settings: Mapping[str, str] | None
) -> Sequence[str]:
    if settings is None:
        return [f"the settings of topic {name} may not be read by this user: give it DescribeConfigs"]
    told = []
    if there.replicas >= WANTED_REPLICAS and int(settings["min.insync.replicas"]) < WANTED_IN_SYNC:
        told.append(
            f"topic {name} has min.insync.replicas={settings['min.insync.replicas']}: it acknowledges what"
            f" one broker alone has; set it to {WANTED_IN_SYNC}"
        )
    if settings["unclean.leader.election.enable"] == "true":
        told.append(f"topic {name} has unclean.leader.election.enable=true: acknowledged events may be lost")
    if "compact" in settings["cleanup.policy"]:
        told.append(f"topic {name} has cleanup.policy={settings['cleanup.policy']}: events would be dropped")
    kept = int(settings["retention.ms"])
    if 0 <= kept < topic.retention // timedelta(milliseconds=1):
        hours = timedelta(milliseconds=kept) / timedelta(hours=1)
        told.append(
            f"topic {name} keeps events for {hours:g} hours, the registry says"
            f" {topic.retention / timedelta(hours=1):g}: a service that is down for longer stops"
        )
    return told
