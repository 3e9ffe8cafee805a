"""Activity per second through scoring's use case, one worker: part `scoring`.

On a fresh embedded PostgreSQL, one transaction per batch, beside the same with one transaction per event. Mix
`visitors`: a shop's backlog in order of time, some ten events a visitor, 2 % of them with an e-mail. Mix
`scattered`, the worst case: events of 20 days in no order, about one lead per event, a third of them known.
"""

import argparse
import asyncio
import cProfile
import os
import pstats
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from benchmarks.activities import MIXES
from benchmarks.figures import Figure, Series
from services.scoring.adapters.bots import bot_verdict
from services.scoring.adapters.engines import Engines
from services.scoring.adapters.postgres_models import PostgresModels
from services.scoring.adapters.stores import postgres_stores
from services.scoring.bootstrap import DEFAULT_MODEL
from services.scoring.usecases.ports import ConcurrentChange
from services.scoring.usecases.read_activity import read_activity
from services.scoring.usecases.record_activity import record_activity
from shared.bus.partitioner import partition_of
from shared.clock import SystemClock
from shared.contracts.activity import ActivityRecorded, partition_key
from shared.contracts.topics import ACTIVITY
from shared.db import migrate
from shared.db.database import Database
from shared.db.embedded import EmbeddedPostgres
from shared.db.pool import create_pool
from shared.process import collect_seldom, loop_factory

BATCH = 2000
LANES = 2
EVENTS_PER_ROUND = 16_200
SINGLES_PER_ROUND = 200
GOAL_EVENTS = 15_000
GOAL_TIMES = 10

_decode = msgspec.json.Decoder(ActivityRecorded).decode


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


@dataclass(frozen=True)
class Round:
    """One round: the same worker in batches and one transaction per event."""

    batched: Rate
    single: Rate


async def backend_seconds(database: Database) -> float:
    """Return the CPU seconds of our sessions' server processes; 0 where /proc does not tell."""
    sql = "SELECT pid FROM pg_stat_activity WHERE application_name = 'leadline-scoring'"
    async with database.connection() as connection:
        return sum([_cpu_seconds(row["pid"]) for row in await connection.fetch(sql)])


def _cpu_seconds(pid: int) -> float:
    stat = Path(f"/proc/{pid}/stat")
    ticks = stat.read_text().rpartition(")")[2].split()[11:13] if stat.exists() else []
    return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")


def in_lanes(raw: Sequence[bytes], lanes: int) -> list[list[bytes]]:
    """Part activities by their key, as the partitions of the bus are parted among a worker's lanes."""
    found: list[list[bytes]] = [[] for _ in range(lanes)]
    for value in raw:
        found[partition_of(partition_key(_decode(value)), ACTIVITY.partitions) % lanes].append(value)
    return found


async def feed(database: Database, engines: Engines, lanes: Sequence[Sequence[bytes]], batch: int) -> Rate:
    """Feed activities in transactions of `batch`, all lanes at once."""
    before = await backend_seconds(database)
    began, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(_feed_lane(database, engines, lane, batch) for lane in lanes))
    seconds, used = time.perf_counter() - began, time.process_time() - cpu
    served = await backend_seconds(database) - before
    events = sum(map(len, lanes))
    return Rate(events / seconds, used / events * 1e6, served / events * 1e6)


async def _feed_lane(database: Database, engines: Engines, raw: Sequence[bytes], batch: int) -> None:
    for at in range(0, len(raw), batch):
        part = raw[at : at + batch]
        while True:
            try:
                async with database.transaction() as tx:
                    engine = await engines.open(tx)
                    entries = [read_activity(_decode(value), engine.compiled, bot_verdict) for value in part]
                    await record_activity(entries, postgres_stores(tx), engine)
                break
            except ConcurrentChange:
                continue


@contextmanager
def fresh_server() -> Iterator[str]:
    """Give the URL of a migrated PostgreSQL that goes when the block ends."""
    with tempfile.TemporaryDirectory() as folder:
        server = EmbeddedPostgres(Path(folder))
        url = server.start()
        try:
            migrate.upgrade(url)
            yield url
        finally:
            server.stop()


@asynccontextmanager
async def scoring_database(url: str) -> AsyncIterator[tuple[Database, Engines]]:
    """Open scoring's pool with the default model published."""
    pool = await create_pool(url, service="scoring")
    try:
        database, models = Database(pool, "scoring"), PostgresModels()
        async with database.transaction() as tx:
            document = DEFAULT_MODEL.read_text("utf-8")
            await models.publish(tx.connection, document, actor="bench", now=datetime.now(UTC))
        yield database, Engines(models, SystemClock(), 50)
    finally:
        await pool.close()


async def measure(
    url: str,
    raw: Sequence[bytes],
    rounds: int,
    batch: int,
    lanes: int,
    profile: cProfile.Profile | None = None,
) -> list[Round]:
    """Feed `raw` in order, an equal share to each round; tables grow from round to round."""
    found = []
    async with scoring_database(url) as (database, engines):
        share = len(raw) // rounds
        await feed(database, engines, [raw[:20]], 1)  # compiles the model, prepares statements
        for number in range(rounds):
            part = raw[number * share + (20 if number == 0 else 0) : (number + 1) * share]
            with profile or nullcontext():
                batched = await feed(database, engines, in_lanes(part[SINGLES_PER_ROUND:], lanes), batch)
            singles = in_lanes(part[:SINGLES_PER_ROUND], lanes)
            found.append(Round(batched, await feed(database, engines, singles, 1)))
            print(f"batches of {batch:<5} {batched}\none by one       {found[-1].single}", flush=True)
    return found


def run_rounds(
    rounds: int, mix: str, events: int, batch: int, lanes: int, profile: cProfile.Profile | None = None
) -> list[Round]:
    """Measure on a server of its own, under the loop and collector of our processes."""
    raw = MIXES[mix](events)
    collect_seldom()
    with fresh_server() as url, asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(measure(url, raw, rounds, batch, lanes, profile))


def scoring(rounds: int) -> Sequence[Figure]:
    """Part `scoring`: one worker in batches, beside one transaction per event."""
    taken = run_rounds(rounds, "visitors", EVENTS_PER_ROUND * rounds, BATCH, LANES)
    batched = Series.of([each.batched.events for each in taken])
    single = Series.of([each.single.events for each in taken])
    python = Series.of([each.batched.python for each in taken])
    postgres = Series.of([each.batched.postgres for each in taken])
    times = batched.over(single)
    return [
        Figure(
            part="scoring",
            work=f"score a backlog, one worker, batches of {BATCH}, mix visitors",
            measured=f"{batched.text(',.0f')} events/s; CPU per event: Python {python.text('.0f')} us,"
            f" PostgreSQL {postgres.text('.0f')} us",
            reference=f"one transaction per event: {single.text(',.0f')} events/s",
            ratio=f"{times.text('.1f')}",
            goal=f">= {GOAL_TIMES}x; >= {GOAL_EVENTS // 1000}k events/s",
            met=times.median >= GOAL_TIMES and batched.median >= GOAL_EVENTS,
        )
    ]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scoring_throughput", description=__doc__)
    parser.add_argument("--events", type=int, default=EVENTS_PER_ROUND * 4)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--batch", type=int, default=BATCH)
    parser.add_argument("--lanes", type=int, default=LANES)
    parser.add_argument("--mix", choices=sorted(MIXES), default="visitors")
    parser.add_argument("--profile", action="store_true", help="show where Python's time goes")
    options = parser.parse_args()
    profile = cProfile.Profile() if options.profile else None
    run_rounds(options.rounds, options.mix, options.events, options.batch, options.lanes, profile)
    if profile:
        pstats.Stats(profile).sort_stats("tottime").print_stats(30)


if __name__ == "__main__":
    main()
