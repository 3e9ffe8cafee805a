"""Ingest and hand-off on a real Kafka, one broker: the same loads as on the Postgres bus, other references.

Each load is put on once more with `flush.messages=1` on the topic: then the broker syncs each batch to disk.
"""

import asyncio
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from benchmarks.figures import Figure, Series
from benchmarks.http_load import Load
from benchmarks.ingest import BATCH, BATCHES, CALLERS, SINGLES, Bench, Spent, bench, serve
from deploy.kafka.local.broker import LocalKafka, default_jars, fetch_jars
from shared.bus.kafka.administrator import administrator
from shared.bus.kafka.options import KafkaOptions
from shared.bus.kafka.topics import create
from shared.contracts.topics import ACTIVITY

SINGLE_GOAL = 2.0
BATCH_GOAL = 6.0
EVENTS_GOAL = 120_000
FLUSHED = {"flush.messages": "1"}


@contextmanager
def broker() -> Iterator[LocalKafka]:
    """Give a broker with the registry's topics; it is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="leadline-bench-kafka-") as folder:
        kafka = LocalKafka(Path(folder), fetch_jars(default_jars()))
        try:
            kafka.start()
            asyncio.run(create(KafkaOptions(kafka.bootstrap)))
            yield kafka
        finally:
            kafka.stop()


def variables(kafka: LocalKafka) -> dict[str, str]:
    """Return the settings that put a process on it."""
    return {"LEADLINE_BUS": "kafka", "LEADLINE_KAFKA_BOOTSTRAP": kafka.bootstrap}


async def _flush_each(kafka: LocalKafka) -> None:
    async with administrator(KafkaOptions(kafka.bootstrap)) as admin:
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, ACTIVITY.name, configs=FLUSHED)])


def singles(rounds: int) -> Sequence[Figure]:
    """One event a request, answered once the broker has it, against a FastAPI route that only answers."""
    with broker() as kafka, bench(variables(kafka)) as running:
        ours, echo = _singles(running, rounds)
        asyncio.run(_flush_each(kafka))
        flushed, beside = _singles(running, rounds)
    return [
        _single("one event a request, durable on Kafka, per CPU second of the server process", ours, echo),
        _single("the same with flush.messages=1", flushed, beside, goal=None),
    ]


def _singles(running: Bench, rounds: int) -> tuple[Series, Series]:
    ours, echo = [], []
    for number in range(rounds + 1):
        mine = Load(running.ours, "/v1/track", SINGLES, token=running.token, seed=number)
        echo.append(serve(running, msgspec.structs.replace(mine, port=running.echo), running.echo_pid))
        ours.append(serve(running, mine, running.ours_pid))
    return _warm(ours), _warm(echo)


def _warm(spent: Sequence[Spent]) -> Series:
    # The first round warms both up: keys, prepared statements, caches.
    return Series.of([one.process for one in spent[1:]])


def _single(work: str, ours: Series, echo: Series, goal: float | None = SINGLE_GOAL) -> Figure:
    ratio = ours.over(echo)
    return Figure(
        part="kafka-ingest",
        work=work,
        measured=f"{ours.text(',.0f')} requests",
        reference=f"FastAPI echo on the same uvicorn: {echo.text(',.0f')}",
        ratio=ratio.text(),
        goal=f">= {goal:.1f}" if goal else "report only",
        met=ratio.median >= goal if goal else None,
    )


def batches(rounds: int) -> Sequence[Figure]:
    """A hundred events a request against a route that sends each by itself, on the same broker."""
    with broker() as kafka:
        reference = ["benchmarks.gather", kafka.bootstrap, ACTIVITY.name]
        with bench(variables(kafka), reference=reference) as running:
            ours, gathered = _batches(running, rounds)
            asyncio.run(_flush_each(kafka))
            flushed, beside = _batches(running, rounds)
    work = "batches of 100 events (30 kB), durable on Kafka, per CPU second of the server process"
    goal = f">= {BATCH_GOAL:.0f} and >= {EVENTS_GOAL:,} events"
    met = ours.over(gathered).median >= BATCH_GOAL and ours.median >= EVENTS_GOAL
    return [
        _batch(work, ours, gathered, goal, met),
        _batch("the same with flush.messages=1", flushed, beside, "report only", None),
    ]


def _batches(running: Bench, rounds: int) -> tuple[Series, Series]:
    ours, gathered = [], []
    for number in range(rounds + 1):
        load = Load(running.ours, "/v1/batch", BATCHES, CALLERS, BATCH, running.token, seed=number)
        theirs = msgspec.structs.replace(load, port=running.echo)
        gathered.append(serve(running, theirs, running.echo_pid))
        ours.append(serve(running, load, running.ours_pid))
    return _warm(ours), _warm(gathered)


def _batch(work: str, ours: Series, gathered: Series, goal: str, met: bool | None) -> Figure:
    return Figure(
        part="kafka-batches",
        work=work,
        measured=f"{ours.text(',.0f')} events",
        reference=f"FastAPI and aiokafka, one send an event, gathered: {gathered.text(',.0f')}",
        ratio=ours.over(gathered).text(",.1f"),
        goal=goal,
        met=met,
    )
