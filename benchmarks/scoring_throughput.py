"""Activity per second through scoring's use case, one worker: `python -m benchmarks.scoring_throughput`.

On a fresh embedded PostgreSQL, one transaction per batch, beside the same with one transaction per event. Mix
`visitors`: a shop's backlog in order of time, some ten events a visitor, 2 % of them with an e-mail. Mix
`scattered`, the worst case: events of 20 days in no order, about one lead per event, a third of them known.
"""

import argparse
import asyncio
import cProfile
import os
import pstats
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import fmean, harmonic_mean

import msgspec

from services.scoring.adapters.bots import bot_verdict
from services.scoring.adapters.engines import Engines
from services.scoring.adapters.postgres_models import PostgresModels
from services.scoring.adapters.stores import postgres_stores
from services.scoring.bootstrap import DEFAULT_MODEL
from services.scoring.usecases.read_activity import read_activity
from services.scoring.usecases.record_activity import record_activity
from shared.clock import SystemClock
from shared.contracts.activity import ActivityRecorded, Context, Person
from shared.db import migrate
from shared.db.database import Database
from shared.db.embedded import EmbeddedPostgres
from shared.db.pool import create_pool
from shared.ids import event_id

AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130 Safari/537.36"
PATHS = ("/", "/pricing", "/product/tour", "/blog/one", "/docs/start", "/contact")
ROUNDS = 5

_decode = msgspec.json.Decoder(ActivityRecorded).decode


def _activity(number: int, person: int, at: datetime, path: str, *, form: bool, user: bool) -> bytes:
    """Return one activity as it lies on the topic."""
    known = Person(f"p{person}@company{person % 997}.example", None, {"title": "VP Sales"})
    return msgspec.json.encode(
        ActivityRecorded(
            event_id=event_id("bench", str(number)),
            source="bench",
            message_id=str(number),
            kind="form" if form else "page",
            name="demo" if form else "Page",
            occurred_at=at,
            received_at=at,
            body_hash=f"{number:064x}",
            anonymous_id=f"anon-{person}",
            user_id=f"user-{person}" if user else None,
            context=Context(path=path, user_agent=AGENT),
            person=known if form else Person(),
        )
    )


def scattered(events: int) -> list[bytes]:
    """Return 70 % anonymous page views, 25 % of known users, 5 % forms, of 5,000 people in 20 days."""
    draw, now = random.Random(1), datetime.now(UTC)
    made = []
    for number in range(events):
        at, kind = now - timedelta(seconds=draw.randrange(20 * 86400)), draw.random()
        path, person = draw.choice(PATHS), draw.randrange(5_000)
        made.append(_activity(number, person, at, path, form=kind >= 0.95, user=0.7 <= kind < 0.95))
    return made


def visitors(events: int) -> list[bytes]:
    """Return sessions of about ten events, a minute apart, 200 visitors at a time."""
    draw = random.Random(2)
    at = datetime.now(UTC) - timedelta(seconds=events)
    present, arrived, made = list(range(200)), 200, []
    for number in range(events):
        slot = draw.randrange(len(present))
        at += timedelta(seconds=draw.random())
        form = draw.random() < 0.02
        made.append(_activity(number, present[slot], at, draw.choice(PATHS), form=form, user=False))
        if draw.random() < 0.1:
            present[slot], arrived = arrived, arrived + 1
    return made


MIXES: dict[str, Callable[[int], list[bytes]]] = {"visitors": visitors, "scattered": scattered}


@dataclass(frozen=True)
class Rate:
    """What feeding took: events per second; CPU in microseconds per event, which a busy machine leaves be."""

    events: float
    python: float
    postgres: float

    def __str__(self) -> str:
        cpu = f"python {self.python:>5.0f} us, postgres {self.postgres:>5.0f} us an event"
        per_second = 1e6 / (self.python + self.postgres)
        return f"{self.events:>8.0f} events/s   {cpu}   {per_second:>7.0f} per CPU second"


async def backend_seconds(database: Database) -> float:
    """Return the CPU seconds of our sessions' server processes; 0 where /proc does not tell."""
    sql = "SELECT pid FROM pg_stat_activity WHERE application_name = 'leadline-scoring'"
    async with database.connection() as connection:
        return sum([_cpu_seconds(row["pid"]) for row in await connection.fetch(sql)])


def _cpu_seconds(pid: int) -> float:
    stat = Path(f"/proc/{pid}/stat")
    ticks = stat.read_text().rpartition(")")[2].split()[11:13] if stat.exists() else []
    return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")


async def feed(database: Database, engines: Engines, raw: Sequence[bytes], batch: int) -> Rate:
    """Feed activities in transactions of `batch`."""
    before = await backend_seconds(database)
    began, cpu = time.perf_counter(), time.process_time()
    for at in range(0, len(raw), batch):
        async with database.transaction() as tx:
            engine = await engines.open(tx)
            part = raw[at : at + batch]
            entries = [read_activity(_decode(value), engine.compiled, bot_verdict) for value in part]
            await record_activity(entries, postgres_stores(tx), engine)
    seconds, used = time.perf_counter() - began, time.process_time() - cpu
    served = await backend_seconds(database) - before
    return Rate(len(raw) / seconds, used / len(raw) * 1e6, served / len(raw) * 1e6)


async def measure(url: str, raw: Sequence[bytes], batch: int, profile: cProfile.Profile | None) -> None:
    """Print events per second of batches, round by round since tables grow, and of single events."""
    pool = await create_pool(url, service="scoring")
    database, models = Database(pool, "scoring"), PostgresModels()
    async with database.transaction() as tx:
        document = DEFAULT_MODEL.read_text("utf-8")
        await models.publish(tx.connection, document, actor="bench", now=datetime.now(UTC))
    engines = Engines(models, SystemClock(), 50)
    singles = min(1000, len(raw) // 10)
    await feed(database, engines, raw[: singles // 10], 1)  # compiles the model, prepares statements
    batched, rates = raw[singles:], []
    with profile or nullcontext():
        for number in range(ROUNDS):
            part = batched[len(batched) * number // ROUNDS : len(batched) * (number + 1) // ROUNDS]
            rates.append(await feed(database, engines, part, batch))
            print(f"batches of {batch:<5} {rates[-1]}")
    single = await feed(database, engines, raw[singles // 10 : singles], 1)
    mean = harmonic_mean(rate.events for rate in rates)
    cpu = fmean(rate.python + rate.postgres for rate in rates)
    print(f"one by one       {single}")
    print(
        f"mean of batches  {mean:>8.0f} events/s   {mean / single.events:.1f} times as many as one by one,",
        end=" ",
    )
    print(f"with {(single.python + single.postgres) / cpu:.1f} times less CPU")
    await pool.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=40_000)
    parser.add_argument("--batch", type=int, default=2000)
    parser.add_argument("--mix", choices=sorted(MIXES), default="visitors")
    parser.add_argument("--profile", action="store_true", help="show where Python's time goes")
    options = parser.parse_args()
    raw = MIXES[options.mix](options.events)
    profile = cProfile.Profile() if options.profile else None
    with tempfile.TemporaryDirectory() as folder:
        server = EmbeddedPostgres(Path(folder))
        url = server.start()
        try:
            migrate.upgrade(url)
            asyncio.run(measure(url, raw, options.batch, profile))
        finally:
            server.stop()
    print(f"{options.mix}, {options.events} events, {os.cpu_count()} cores shared with PostgreSQL")
    if profile:
        pstats.Stats(profile).sort_stats("tottime").print_stats(30)


if __name__ == "__main__":
    main()
