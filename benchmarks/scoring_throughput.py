"""Activity per second through scoring's use case, one worker: `python -m benchmarks.scoring_throughput`.

One transaction per batch on a fresh embedded PostgreSQL; the mix: 70 % anonymous page views, 25 % of known
users, 5 % forms with an e-mail. Prints one line per round, since tables grow.
"""

import argparse
import asyncio
import random
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

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


def make(number: int, draw: random.Random, people: int, now: datetime) -> bytes:
    """Return one activity as it lies on the topic."""
    person = draw.randrange(people)
    at = now - timedelta(seconds=draw.randrange(20 * 86400))
    kind = draw.random()
    known = kind >= 0.7
    form = kind >= 0.95
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
            user_id=f"user-{person}" if known and not form else None,
            context=Context(path=draw.choice(PATHS), user_agent=AGENT),
            person=Person(f"p{person}@company{person % 997}.example", None, {"title": "VP Sales"})
            if form
            else Person(),
        )
    )


async def measure(url: str, events: int, batch: int, people: int) -> None:
    """Feed `events` activities in batches and print events per second of every tenth."""
    draw = random.Random(1)
    now = datetime.now(UTC)
    decode = msgspec.json.Decoder(ActivityRecorded).decode
    pool = await create_pool(url, service="scoring")
    database, models = Database(pool, "scoring"), PostgresModels()
    async with database.transaction() as tx:
        await models.publish(tx.connection, DEFAULT_MODEL.read_text("utf-8"), actor="bench", now=now)
    engines = Engines(models, SystemClock(), 50)
    raw = [make(number, draw, people, now) for number in range(events)]
    step = max(batch, events // 10)
    for start in range(0, events, step):
        began, cpu = time.perf_counter(), time.process_time()
        for at in range(start, min(start + step, events), batch):
            async with database.transaction() as tx:
                engine = await engines.open(tx)
                entries = [
                    read_activity(decode(value), engine.compiled, bot_verdict)
                    for value in raw[at : at + batch]
                ]
                await record_activity(entries, postgres_stores(tx), engine)
        seconds, used = time.perf_counter() - began, time.process_time() - cpu
        done = min(start + step, events)
        rate = (done - start) / seconds
        print(f"{done:>8} events   {rate:>8.0f} events/s   python {used / seconds:>4.0%} of the time")
    await pool.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=50_000)
    parser.add_argument("--batch", type=int, default=500)
    parser.add_argument("--people", type=int, default=5_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        server = EmbeddedPostgres(Path(folder))
        url = server.start()
        try:
            migrate.upgrade(url)
            asyncio.run(measure(url, options.events, options.batch, options.people))
        finally:
            server.stop()


if __name__ == "__main__":
    main()
