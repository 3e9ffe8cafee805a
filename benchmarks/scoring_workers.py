"""Scoring's worker as it is deployed, one process and two, over either bus: `workers`, `kafka-workers`."""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path

import msgspec

from benchmarks.activities import visitors
from benchmarks.figures import Figure, Series
from benchmarks.kafka import broker, variables
from benchmarks.scoring_throughput import fresh_server
from shared.bus.kafka.bus import open_kafka_bus
from shared.bus.kafka.options import KafkaOptions
from shared.bus.port import Bus, Outgoing
from shared.bus.postgres import open_postgres_bus
from shared.contracts.activity import RECORDED, ActivityRecorded, partition_key
from shared.contracts.envelope import Attributes, to_headers
from shared.contracts.topics import ACTIVITY
from shared.db.database import Database
from shared.db.pool import create_pool

BACKLOG = 20_000
AT_ONCE = 1_000
# Processes start and batches grow at first, and at the end a partition may be alone.
FROM, UNTIL = 0.25, 0.9
PATIENCE_SECONDS = 240
LOOK_SECONDS = 0.02
_HANDLED = "SELECT coalesce(sum(handled), 0) FROM scoring.consumer_position WHERE topic = $1"


def _outgoing(value: bytes) -> Outgoing:
    message = msgspec.json.decode(value, type=ActivityRecorded)
    key = partition_key(message)
    attributes = Attributes(message.event_id, "bench", RECORDED, message.occurred_at, key)
    return Outgoing(ACTIVITY.name, key, to_headers(attributes), value)


@contextmanager
def worker_processes(url: str, number: int, variables: Mapping[str, str]) -> Iterator[None]:
    """Run that many scoring workers for the block; they give their partitions up at its end."""
    with tempfile.TemporaryDirectory() as folder:
        settings = {"DATABASE_URL": url, "DATA_DIR": folder, "LOG_LEVEL": "error"}
        environment = os.environ | {f"LEADLINE_{name}": value for name, value in settings.items()} | variables
        command = [sys.executable, "-m", "services.scoring", "--role", "worker"]
        root = Path(__file__).parents[1]
        running = [subprocess.Popen(command, env=environment, cwd=root) for _ in range(number)]
        try:
            yield
        finally:
            for process in running:
                process.send_signal(signal.SIGTERM)
            for process in running:
                process.wait(timeout=30)


async def drained(database: Database, before: int, events: int) -> float:
    """Return events per second of the middle of a backlog of `events`, of which `before` came earlier."""
    passed: dict[float, tuple[float, int]] = {}
    handled = 0
    async with database.connection() as connection, asyncio.timeout(PATIENCE_SECONDS):
        while handled < events:
            handled = await connection.fetchval(_HANDLED, ACTIVITY.name) - before
            for share in (FROM, UNTIL):
                if handled >= share * events:
                    passed.setdefault(share, (time.perf_counter(), handled))
            await asyncio.sleep(LOOK_SECONDS)
    (began, first), (ended, last) = passed[FROM], passed[UNTIL]
    return float(last - first) / (ended - began)


async def measure(
    url: str, rounds: int, open_bus: AbstractAsyncContextManager[Bus], variables: Mapping[str, str]
) -> dict[int, list[float]]:
    """Return events per second by number of processes; every round has a backlog of its own for each.

    `variables`: the settings by which the workers find the same bus.
    """
    raw = visitors(2 * rounds * BACKLOG)
    found: dict[int, list[float]] = {1: [], 2: []}
    pool = await create_pool(url, service="scoring", application="leadline-bench")
    async with open_bus as bus:
        for turn in range(2 * rounds):
            part = raw[turn * BACKLOG : (turn + 1) * BACKLOG]
            for at in range(0, BACKLOG, AT_ONCE):
                await bus.append([_outgoing(value) for value in part[at : at + AT_ONCE]])
            number = 1 + turn % 2
            with worker_processes(url, number, variables):
                found[number].append(await drained(Database(pool, "scoring"), turn * BACKLOG, BACKLOG))
            print(f"{number} processes {found[number][-1]:>8.0f} events/s", flush=True)
    await pool.close()
    return found


def workers(rounds: int) -> Sequence[Figure]:
    """Part `workers`: two processes beside one, through the consumer and the Postgres bus."""
    with fresh_server() as url:
        found = asyncio.run(measure(url, rounds, open_postgres_bus(url, service="ingest"), {}))
    return _figures("workers", "the Postgres bus", found)


def workers_on_kafka(rounds: int) -> Sequence[Figure]:
    """Part `kafka-workers`: the same on a broker."""
    with fresh_server() as url, broker() as kafka:
        bus = open_kafka_bus(KafkaOptions(kafka.bootstrap))
        found = asyncio.run(measure(url, rounds, bus, variables(kafka)))
    return _figures("kafka-workers", "Kafka", found)


def _figures(part: str, bus: str, found: Mapping[int, Sequence[float]]) -> Sequence[Figure]:
    one, two = Series.of(found[1]), Series.of(found[2])
    return [
        Figure(
            part=part,
            work=f"score a backlog through the consumer and {bus}, two worker processes",
            measured=f"{two.text(',.0f')} events/s",
            reference=f"one worker process: {one.text(',.0f')} events/s",
            ratio=two.over(one).text(),
            goal="report only",
        )
    ]


if __name__ == "__main__":
    for figure in workers(1):
        print(figure.row())
