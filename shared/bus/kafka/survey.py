"""What a cluster has of the registry's topics, and in which points that is not what the promises need."""

from collections.abc import Iterator, Mapping, Sequence
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
# The broker's clock is one; those of its clients are many, and any may be wrong.
APPENDED = "LogAppendTime"


@dataclass(frozen=True, slots=True)
class Survey:
    """The topics found, and their settings by name; of those that may not be read, none."""

    found: ClusterFound
    settings: Mapping[str, Mapping[str, str]]


def settings_of(topic: Topic, replicas: int) -> dict[str, str]:
    """Return the topic's configuration on a cluster that keeps `replicas` copies of it."""
    return {
        "retention.ms": str(topic.retention // timedelta(milliseconds=1)),
        # A broker's default may be smaller than a busy week.
        "retention.bytes": "-1",
        "min.insync.replicas": str(max(1, min(WANTED_IN_SYNC, replicas - 1))),
        "unclean.leader.election.enable": "false",
        "cleanup.policy": "delete",
        "message.timestamp.type": APPENDED,
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
    """Return in sentences what differs from the registry, and what a lost broker or a wrong clock could cost.

    Topics that have the same problem share a sentence.
    """
    having: dict[str, list[str]] = {}
    for topic in TOPICS:
        name = options.topic(topic.name)
        for problem in _of_topic(topic, surveyed.found.topics.get(name), surveyed.settings.get(name)):
            having.setdefault(problem, []).append(name)
    return [f"{_joined(names)}: {problem}" for problem, names in having.items()]


def _joined(names: Sequence[str]) -> str:
    return f"topic {names[0]}" if len(names) == 1 else f"topics {', '.join(names[:-1])} and {names[-1]}"


def _of_topic(topic: Topic, there: TopicFound | None, settings: Mapping[str, str] | None) -> Iterator[str]:
    if there is None:
        yield "missing; leadline topics create makes it"
        return
    yield from _of_copies(topic, there)
    if settings is None:
        yield "this user may not read the settings; give it DescribeConfigs"
    else:
        yield from _of_settings(topic, there, settings)


def _of_copies(topic: Topic, there: TopicFound) -> Iterator[str]:
    if there.partitions != topic.partitions:
        yield (
            f"{there.partitions} partitions where the registry says {topic.partitions}; keys would go to"
            " other partitions than before"
        )
    if there.replicas < WANTED_REPLICAS:
        copies = "1 copy" if there.replicas == 1 else f"{there.replicas} copies"
        yield f"{copies}; the loss of a broker's disk may lose events"
    elif there.in_sync < WANTED_IN_SYNC:
        yield f"{there.in_sync} copies in sync; no events are taken until there are {WANTED_IN_SYNC}"


def _of_settings(topic: Topic, there: TopicFound, settings: Mapping[str, str]) -> Iterator[str]:
    in_sync = settings["min.insync.replicas"]
    if there.replicas >= WANTED_REPLICAS and int(in_sync) < WANTED_IN_SYNC:
        yield (
            f"min.insync.replicas={in_sync}, so that what one broker alone has is acknowledged; set it to"
            f" {WANTED_IN_SYNC}"
        )
    if settings["unclean.leader.election.enable"] == "true":
        yield "unclean.leader.election.enable=true; acknowledged events may be lost"
    if "compact" in settings["cleanup.policy"]:
        yield f"cleanup.policy={settings['cleanup.policy']}; events would be dropped"
    if settings["message.timestamp.type"] != APPENDED:
        yield (
            f"message.timestamp.type={settings['message.timestamp.type']}; retention goes by the clocks of"
            f" those who write, and a wrong one may drop events. Set it to {APPENDED}"
        )
    if int(settings["retention.bytes"]) >= 0:
        yield (
            f"retention.bytes={settings['retention.bytes']}; more than that is dropped, however young and"
            " whoever still needs it. Set it to -1"
        )
    kept = int(settings["retention.ms"])
    if 0 <= kept < topic.retention // timedelta(milliseconds=1):
        hours = timedelta(milliseconds=kept) / timedelta(hours=1)
        yield (
            f"events are kept for {hours:g} hours where the registry says"
            f" {topic.retention / timedelta(hours=1):g}; a service that is down for longer stops"
        )
