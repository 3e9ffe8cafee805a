"""What each process holds in memory as events go through all of Leadline: `python -m benchmarks.memory`.

Events come in batches of 500 over one connection; each look at the memory waits until all are handled.
"""

import argparse
import asyncio
import random
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import httpx2

from benchmarks.figures import Figure
from benchmarks.kafka import broker, variables
from benchmarks.machine import Machine, leadline, owner, proportional_megabytes, resident_megabytes
from deploy.kafka.local.broker import LocalKafka
from shared.bus.kafka.bus import open_kafka_bus
from shared.bus.kafka.options import KafkaOptions
from shared.bus.port import Bus, Partition
from shared.bus.postgres import open_postgres_bus

EVENTS = 1_000_000
LOOKS = 5
BATCH = 500
GOAL_MEGABYTES = 150
GOAL_GROWTH = 1.05
# So many events may lie between the door and the scores: the log is on disk, but the test is of a flow.
AHEAD = 20_000
STUCK_SECONDS = 120
PATHS = ("/", "/pricing", "/product", "/blog/leads", "/docs/start", "/contact")

POSITIONS = """
SELECT topic, partition, next_offset FROM scoring.consumer_position
UNION ALL SELECT topic, partition, next_offset FROM routing.consumer_position
"""
UNSENT = " + ".join(
    f"(SELECT count(*) FROM {schema}.outbox WHERE sent_at IS NULL)"
    for schema in ("ingest", "scoring", "routing")
)
# At night nobody is handed anything: the leads wait for business hours.
QUALIFIED = "SELECT count(*) FROM routing.lead WHERE state NOT IN ('nurturing', 'disqualified')"


@dataclass(slots=True)
class Look:
    """Megabytes by process once that many events have gone through; `postgres` is all of its processes."""

    events: int
    megabytes: Mapping[str, float]


@dataclass(slots=True)
class Visitors:
    """Sessions of about ten events, 300 visitors at a time; one in fifty events tells an e-mail address."""

    draw: random.Random = field(default_factory=lambda: random.Random(3))
    present: list[int] = field(default_factory=lambda: list(range(300)))
    arrived: int = 300
    number: int = 0

    def batch(self) -> dict[str, Any]:
        """Return the body of the next request."""
        return {"batch": [self._event() for _ in range(BATCH)]}

    def _event(self) -> dict[str, Any]:
        self.number += 1
        slot = self.draw.randrange(len(self.present))
        person = self.present[slot]
        if self.draw.random() < 0.1:
            self.present[slot], self.arrived = self.arrived, self.arrived + 1
        event = {"messageId": f"m-{self.number}", "anonymousId": f"a-{person}"}
        if self.draw.random() < 0.02:
            traits = {"email": f"p{person}@company{person % 997}.example", "title": "VP Sales",
                      "company": "Example Ltd"}  # fmt: skip
            return event | {"type": "identify", "userId": f"u-{person}", "traits": traits}
        if self.draw.random() < 0.2:
            return event | {"type": "track", "event": "Pricing Viewed"}
        path = self.draw.choice(PATHS)
        return event | {
            "type": "page",
            "context": {"page": {"path": path, "url": f"https://example.com{path}"}},
        }


class Flow:
    """One Leadline, fed as fast as it goes."""

    def __init__(
        self, machine: Machine, client: httpx2.AsyncClient, database: "asyncpg.Connection[Any]", bus: Bus
    ) -> None:
        self._machine = machine
        self._client = client
        self._database = database
        self._bus = bus
        self._visitors = Visitors()

    async def feed(self, events: int) -> None:
        """Post that many and wait until all that follows from them is done."""
        for posted in range(0, events, BATCH):
            answer = await self._client.post("/v1/batch", json=self._visitors.batch())
            answer.raise_for_status()
            if posted % AHEAD == 0:
                await self._until_waiting(AHEAD)
        await self._until_waiting(0)

    async def _until_waiting(self, most: int) -> None:
        least, since = await self._waiting(), time.monotonic()
        while least > most:
            await asyncio.sleep(0.2)
            now = await self._waiting()
            if now < least:
                least, since = now, time.monotonic()
            assert time.monotonic() - since < STUCK_SECONDS, f"{now} messages wait and none is handled"

    async def _waiting(self) -> int:
        """Return how many messages of the log a group has not handled, and how many are not sent yet."""
        places = await self._database.fetch(POSITIONS)
        heads = {topic: await self._bus.heads(topic) for topic in {row["topic"] for row in places}}
        unhandled = sum(
            heads[row["topic"]][Partition(row["topic"], row["partition"])][1] - row["next_offset"]
            for row in places
        )
        return int(unhandled) + int(await self._database.fetchval(f"SELECT {UNSENT}"))

    def look(self, events: int) -> Look:
        """Take what the processes hold now."""
        held = {name: resident_megabytes(process) for name, process in self._machine.processes.items()}
        return Look(events, held | {"postgres": proportional_megabytes(self._machine.database())})


@asynccontextmanager
async def _open_bus(machine: Machine, kafka: LocalKafka | None) -> AsyncIterator[Bus]:
    if kafka is None:
        async with open_postgres_bus(machine.database_url, service="scoring") as log:
            yield log
    else:
        async with open_kafka_bus(KafkaOptions(kafka.bootstrap)) as cluster:
            yield cluster


async def _measure(machine: Machine, events: int, kafka: LocalKafka | None = None) -> list[Look]:
    headers = {"authorization": f"Bearer {machine.keys['ingest']}"}
    client = httpx2.AsyncClient(base_url=machine.url, headers=headers, timeout=60, trust_env=False)
    async with owner(machine.database_url) as connection, client, _open_bus(machine, kafka) as bus:
        flow = Flow(machine, client, connection, bus)
        looks = [flow.look(0)]
        for number in range(1, LOOKS + 1):
            await flow.feed(events // LOOKS)
            looks.append(flow.look(events * number // LOOKS))
            print(
                "  ".join(f"{name} {held:.0f} MB" for name, held in looks[-1].megabytes.items()), flush=True
            )
        assert await connection.fetchval(QUALIFIED), "no lead was qualified: not all of it was used"
    return looks


def memory(_: int, events: int = EVENTS) -> list[Figure]:
    """Watch the memory of each process over many events; one run, whatever the number of rounds."""
    with leadline() as machine:
        looks = asyncio.run(_measure(machine, events))
    return [_figure("memory", name, looks, events) for name in looks[0].megabytes]


def memory_on_kafka(_: int, events: int = EVENTS) -> list[Figure]:
    """The same on a Kafka of one broker, whose own memory is not looked at."""
    with broker() as kafka, leadline(variables=variables(kafka)) as machine:
        looks = asyncio.run(_measure(machine, events, kafka))
    return [_figure("kafka-memory", name, looks, events) for name in looks[0].megabytes]


def _figure(part: str, name: str, looks: Sequence[Look], events: int) -> Figure:
    held = [look.megabytes[name] for look in looks]
    # From the middle on: before, caches fill and the allocator settles.
    growth = held[-1] / held[LOOKS // 2 + 1]
    ours = name != "postgres"
    return Figure(
        part, f"memory of `{name}` over {events:,} events{' on Kafka' if part != 'memory' else ''}",
        ", ".join(f"{megabytes:.0f}" for megabytes in held[1:]) + " MB", f"at the start {held[0]:.0f} MB",
        f"{growth:.2f} from the middle on",
        f"below {GOAL_MEGABYTES} MB, at most {GOAL_GROWTH}" if ours else "-",
        max(held) < GOAL_MEGABYTES and growth <= GOAL_GROWTH if ours else None,
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=EVENTS)
    parser.add_argument("--kafka", action="store_true")
    options = parser.parse_args()
    for figure in (memory_on_kafka if options.kafka else memory)(1, options.events):
        print(figure.row())


if __name__ == "__main__":
    main()
