"""The log on either bus: read while everything breaks, and again at the end, message by message."""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple

import asyncpg

from shared.bus.kafka.bus import open_kafka_bus
from shared.bus.kafka.options import KafkaOptions
from shared.bus.port import Bus, BusUnavailable, OffsetOutOfRange, Partition, Record
from shared.bus.postgres import PostgresBus
from shared.contracts.topics import TOPICS
from shared.db.pool import create_pool
from tests.faults.halt import Halt
from tests.faults.machine import Machine
from tests.faults.part import Part

if TYPE_CHECKING:
    Pool = asyncpg.Pool[asyncpg.Record]

PAGE = 2000
LOOK_SECONDS = 2.0
AWAY = (
    BusUnavailable,
    OffsetOutOfRange,
    OSError,
    TimeoutError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
)

# (topic, partition, offset) -> digest of what lies there.
Seen = Mapping[tuple[str, int, int], bytes]


class Kept(NamedTuple):
    """A message as the log has it; `digest` covers key, headers and value."""

    topic: str
    partition: int
    offset: int
    id: str
    key: str
    at: datetime
    digest: bytes


@asynccontextmanager
async def open_log(variables: Mapping[str, str], pool: "Pool") -> AsyncIterator[Bus]:
    """Open the bus that a machine's settings name."""
    if "LEADLINE_KAFKA_BOOTSTRAP" in variables:
        async with open_kafka_bus(KafkaOptions(variables["LEADLINE_KAFKA_BOOTSTRAP"])) as kafka:
            yield kafka
    else:
        yield PostgresBus(pool)


async def read_log(url: str, variables: Mapping[str, str]) -> list[Kept]:
    """Return all messages of all topics, in the order of each partition."""
    found: list[Kept] = []
    async with create_pool_for(url) as pool, open_log(variables, pool) as bus:
        for topic in TOPICS:
            for place, (first, end) in (await bus.heads(topic.name)).items():
                found += [message async for message in _messages(bus, place, first, end)]
    return found


@asynccontextmanager
async def create_pool_for(url: str) -> AsyncIterator["Pool"]:
    """Open a small pool with the rights of scoring, which reads every topic."""
    pool = await create_pool(url, service="scoring", min_size=0, max_size=2)
    try:
        yield pool
    finally:
        # A server that is frozen does not answer a goodbye.
        pool.terminate()


async def _messages(bus: Bus, place: Partition, at: int, end: int) -> AsyncIterator[Kept]:
    while at < end and (records := await bus.browse(place, at, max_records=PAGE)):
        at = records[-1].offset + 1
        for record in records:
            yield _kept(record)


def _kept(record: Record) -> Kept:
    digest = blake2b(record.key.encode(), digest_size=8)
    for name, value in record.headers:
        digest.update(name.encode() + b"\0" + value + b"\0")
    digest.update(record.value)
    return Kept(
        record.partition.topic,
        record.partition.number,
        record.offset,
        dict(record.headers)["ce_id"].decode(),
        record.key,
        record.appended_at,
        digest.digest(),
    )


class LogReader(Part):
    """Follows the log through all faults, as one who is no member of any group. `seen`: what it read."""

    def __init__(self, machine: Machine, halt: Halt) -> None:
        super().__init__("log reader")
        self._machine = machine
        self._halt = halt
        self._at: dict[Partition, int] = {}
        self._pause = threading.Event()
        self.seen: dict[tuple[str, int, int], bytes] = {}

    def work(self) -> None:
        # What the library says of brokers that are away is no news here.
        logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
        while not self._halt.ending():
            asyncio.run(self._follow())
            self._pause.wait(LOOK_SECONDS)

    async def _follow(self) -> None:
        """Read on until the run ends or the log does not answer; then begin anew from where it was."""
        try:
            async with (
                create_pool_for(self._machine.database_url) as pool,
                open_log(self._machine.brokers.variables, pool) as bus,
            ):
                while not self._halt.ending():
                    await self._read(bus)
                    await asyncio.sleep(LOOK_SECONDS)
        except AWAY:
            return

    async def _read(self, bus: Bus) -> None:
        for topic in TOPICS:
            for place, (first, end) in (await bus.heads(topic.name)).items():
                async for message in _messages(bus, place, self._at.get(place, first), end):
                    self.seen[message.topic, message.partition, message.offset] = message.digest
                    self._at[place] = message.offset + 1
