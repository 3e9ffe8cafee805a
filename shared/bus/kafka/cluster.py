"""Which cluster this is and which topics it has, by id: what tells a topic from a later one of its name.

aiokafka reads no topic ids, so version 12 of the metadata request is spelt out here, after the message
definitions of Apache Kafka (MetadataRequest.json, MetadataResponse.json).
"""

import asyncio
import uuid
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from aiokafka.client import AIOKafkaClient
from aiokafka.conn import collect_hosts, create_conn
from aiokafka.errors import KafkaConnectionError, KafkaError
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Schema,
    TaggedFields,
)

from shared.bus.kafka.ending import end_client, start
from shared.bus.kafka.faults import in_time
from shared.bus.kafka.options import KafkaOptions
from shared.bus.port import BusUnavailable

NO_ID = uuid.UUID(int=0)


class TopicId:
    """Sixteen bytes on the wire."""

    @classmethod
    def encode(cls, value: uuid.UUID) -> bytes:
        return value.bytes

    @classmethod
    def decode(cls, data: BytesIO) -> uuid.UUID:
        return uuid.UUID(bytes=data.read(16))


class MetadataAnswer(Response):  # type: ignore[misc]  # the library is untyped
    API_KEY = 3
    API_VERSION = 12
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            CompactArray(
                ("node_id", Int32),
                ("host", CompactString("utf-8")),
                ("port", Int32),
                ("rack", CompactString("utf-8")),
                ("tags", TaggedFields),
            ),
        ),
        ("cluster_id", CompactString("utf-8")),
        ("controller_id", Int32),
        (
            "topics",
            CompactArray(
                ("error_code", Int16),
                ("name", CompactString("utf-8")),
                ("topic_id", TopicId),
                ("is_internal", Boolean),
                (
                    "partitions",
                    CompactArray(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", CompactArray(Int32)),
                        ("in_sync", CompactArray(Int32)),
                        ("offline", CompactArray(Int32)),
                        ("tags", TaggedFields),
                    ),
                ),
                ("authorized_operations", Int32),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class MetadataQuestion12(RequestStruct):  # type: ignore[misc]  # as above
    API_KEY = 3
    API_VERSION = 12
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = MetadataAnswer
    SCHEMA = Schema(
        (
            "topics",
            CompactArray(("topic_id", TopicId), ("name", CompactString("utf-8")), ("tags", TaggedFields)),
        ),
        ("allow_auto_topic_creation", Boolean),
        ("include_topic_authorized_operations", Boolean),
        ("tags", TaggedFields),
    )


class MetadataQuestion(Request[MetadataQuestion12]):  # type: ignore[misc]  # as above
    """Asks for the topics of these names."""

    API_KEY = 3

    def __init__(self, names: list[str]) -> None:
        self._names = names

    def build(self, request_struct_class: type[MetadataQuestion12]) -> MetadataQuestion12:
        topics: list[tuple[uuid.UUID, str, dict[int, bytes]]] = [(NO_ID, name, {}) for name in self._names]
        return request_struct_class(topics, False, False, {})


@dataclass(frozen=True, slots=True)
class TopicFound:
    """A topic as the cluster has it; `replicas` and `in_sync` are those of its worst partition."""

    topic_id: str
    partitions: int
    replicas: int
    in_sync: int


@dataclass(frozen=True, slots=True)
class ClusterFound:
    """What the cluster told: its id, how many brokers are alive, and the topics that exist, by name."""

    cluster: str
    brokers: int
    topics: dict[str, TopicFound]


class Cluster:
    """A client for questions about the cluster; it is connected at the first one."""

    def __init__(self, options: KafkaOptions) -> None:
        self._options = options
        self._client: Any = None
        self._lock = asyncio.Lock()

    async def describe(self, names: list[str]) -> ClusterFound:
        """Ask for the topics of these names (as the cluster calls them); raise BusUnavailable."""
        return await in_time(self._describe(names))

    async def known_to_all(self, names: list[str]) -> bool:
        """Return whether every broker that is alive has heard of the topics of these names.

        A topic is there when the controller says so, and each broker hears of it in its own time: one that
        was restarted a moment ago may still say that there is none. Raises BusUnavailable.
        """
        return await in_time(self._known_to_all(names))

    async def _known_to_all(self, names: list[str]) -> bool:
        client = await self._started()
        await client.force_metadata_update()
        for broker in client.cluster.brokers():
            answer = await client.send(broker.nodeId, MetadataQuestion(names))
            if any(error for error, *_ in answer.topics):
                return False
        return True

    async def _started(self) -> Any:
        async with self._lock:
            if self._client is None:
                client = AIOKafkaClient(**self._options.client())
                try:
                    await start(client.bootstrap())
                except KafkaConnectionError as away:
                    await end_client(client)
                    raise BusUnavailable(await _refusal(self._options)) from away
                except BaseException:
                    await end_client(client)
                    raise
                self._client = client
            return self._client

    async def _describe(self, names: list[str]) -> ClusterFound:
        client = await self._started()
        node = client.get_random_node()
        if node is None:
            await client.force_metadata_update()
            raise BusUnavailable("no broker is known")
        answer = await client.send(node, MetadataQuestion(names))
        return ClusterFound(
            answer.cluster_id or "",
            len(answer.brokers),
            dict(_found(topic) for topic in answer.topics if not topic[0]),
        )

    async def close(self) -> None:
        if self._client is not None:
            await end_client(self._client)


async def _refusal(options: KafkaOptions) -> str:
    """Return what the first broker says to whoever connects: the library only logs it."""
    host, port, _ = collect_hosts(options.bootstrap)[0]
    try:
        connection = await create_conn(host, port, **options.connection())
    except (KafkaError, OSError, TimeoutError) as fault:
        return f"{host}:{port}: {str(fault) or type(fault).__name__}"
    connection.close()
    return f"{host}:{port} lets us in, and does not answer"


def _found(topic: Any) -> tuple[str, TopicFound]:
    _, name, topic_id, _, partitions, *_ = topic
    return name, TopicFound(
        topic_id=str(topic_id),
        partitions=len(partitions),
        replicas=min((len(partition[4]) for partition in partitions), default=0),
        in_sync=min((len(partition[5]) for partition in partitions), default=0),
    )
