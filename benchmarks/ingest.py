"""Ingest on the Postgres bus, whole processes over real sockets: single events and batches of a hundred.

Counted are CPU seconds of the processes, so that a busy machine and the load's own process stay out of it.
"""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import msgspec
import psutil

from benchmarks.figures import Figure, Series
from benchmarks.http_load import Load, events, put_on
from shared.db import migrate
from shared.db.embedded import EmbeddedPostgres
from shared.web.keys import create_key

SINGLES = 10_000
BATCHES = 300
BATCH = 100
CALLERS = 16
INSERTS = 6_000
START_SECONDS = 30.0
SINGLE_GOAL = 1.0
BATCH_GOAL = 10.0
EVENTS_GOAL = 60_000
ECHO = ("benchmarks.echo",)
NOTHING: Mapping[str, str] = {}


@dataclass(frozen=True)
class Bench:
    """What runs: the product's api, the reference's, and the database server; ports and process ids."""

    ours: int
    echo: int
    ours_pid: int
    echo_pid: int
    postgres_pid: int
    database_url: str
    token: str


@contextmanager
def bench(variables: Mapping[str, str] = NOTHING, *, reference: Sequence[str] = ECHO) -> Iterator[Bench]:
    """Start everything in a temporary folder; stop it all at the end.

    `variables` are settings of ours; `reference` is the other server's module, with arguments after its port.
    """
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        server = EmbeddedPostgres(place)
        url = server.start()
        try:
            migrate.upgrade(url)
            token = asyncio.run(_key(url))
            ours, echo = _free_port(), _free_port()
            product = [sys.executable, "-m", "services.ingest", "--role", "api", "--port", str(ours)]
            module, *arguments = reference
            other = [sys.executable, "-m", module, str(echo), *arguments]
            environment = _environment(place, url) | dict(variables)
            postgres = server.pid()
            assert postgres is not None
            with (
                _running(product, environment, f"http://127.0.0.1:{ours}/readyz") as ours_pid,
                _running(other, dict(os.environ), f"http://127.0.0.1:{echo}/docs") as echo_pid,
            ):
                yield Bench(ours, echo, ours_pid, echo_pid, postgres, url, token)
        finally:
            server.stop()


def _environment(place: Path, url: str) -> dict[str, str]:
    """Return the environment that `leadline up` gives its api."""
    metrics = place / "metrics"
    metrics.mkdir()
    return {
        **os.environ,
        "LEADLINE_DATABASE_URL": url,
        "LEADLINE_DATA_DIR": str(place),
        "PROMETHEUS_MULTIPROC_DIR": str(metrics),
    }


async def _key(url: str) -> str:
    connection = await asyncpg.connect(url)
    try:
        return (await create_key(connection, name="bench", scopes=["ingest"], source="bench")).token
    finally:
        await connection.close()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


@contextmanager
def _running(command: Sequence[str], environment: dict[str, str], ready_url: str) -> Iterator[int]:
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    try:
        _await_ready(process, ready_url)
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=START_SECONDS)


def _await_ready(process: "subprocess.Popen[bytes]", url: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError), urllib.request.urlopen(url, timeout=2):
            return
        time.sleep(0.05)
    raise RuntimeError(f"{process.args!r} does not answer at {url}")


def cpu_seconds(pid: int) -> float:
    """Return the CPU seconds of a process and of its children, the ended ones included."""
    process = psutil.Process(pid)
    total = sum(process.cpu_times()[:4])
    for child in process.children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            total += sum(child.cpu_times()[:2])
    return float(total)


@dataclass(frozen=True)
class Spent:
    """Units of work per second: of the server process's CPU, with PostgreSQL's, and of wall time."""

    process: float
    together: float
    wall: float


def serve(running: Bench, load: Load, pid: int) -> Spent:
    """Put a load on the process `pid`; return events per second."""
    before, stored = cpu_seconds(pid), cpu_seconds(running.postgres_pid)
    outcome = put_on(load)
    used, storing = cpu_seconds(pid) - before, cpu_seconds(running.postgres_pid) - stored
    count = load.requests * load.batch
    return Spent(count / used, count / (used + storing), count / outcome.seconds)


def singles(rounds: int) -> Sequence[Figure]:
    """One event a request, answered once it is committed, against a FastAPI route that only answers."""
    ours, echo = [], []
    with bench() as running:
        for number in range(rounds + 1):
            mine = Load(running.ours, "/v1/track", SINGLES, token=running.token, seed=number)
            echo.append(serve(running, msgspec.structs.replace(mine, port=running.echo), running.echo_pid))
            ours.append(serve(running, mine, running.ours_pid))
    # The first round warms both up: keys, prepared statements, caches.
    told = Series.of([spent.process for spent in ours[1:]])
    reference = Series.of([spent.process for spent in echo[1:]])
    together = Series.of([spent.together for spent in ours[1:]])
    ratio = told.over(reference)
    return [
        Figure(
            part="ingest",
            work="one event a request, durable on the Postgres bus, per CPU second of the server process",
            measured=f"{told.text(',.0f')} requests",
            reference=f"FastAPI echo on the same uvicorn: {reference.text(',.0f')}",
            ratio=ratio.text(),
            goal=f">= {SINGLE_GOAL:.1f}",
            met=ratio.median >= SINGLE_GOAL,
        ),
        Figure(
            part="ingest",
            work="the same per CPU second of Leadline and PostgreSQL",
            measured=f"{together.text(',.0f')} requests",
            reference=f"FastAPI echo, which keeps nothing: {reference.text(',.0f')}",
            ratio=together.over(reference).text(),
            goal="-",
        ),
    ]


def batches(rounds: int) -> Sequence[Figure]:
    """A hundred events a request against one insert for each event, both on the same server."""
    ours, inserts = [], []
    with bench() as running:
        for number in range(rounds + 1):
            load = Load(running.ours, "/v1/batch", BATCHES, CALLERS, BATCH, running.token, seed=number)
            inserts.append(insert_one_by_one(running, seed=number))
            ours.append(serve(running, load, running.ours_pid))
    told = Series.of([spent.together for spent in ours[1:]])
    reference = Series.of([spent.together for spent in inserts[1:]])
    alone = Series.of([spent.process for spent in ours[1:]])
    ratio = told.over(reference)
    return [
        Figure(
            part="batches",
            work="batches of 100 events (30 kB), durable, per CPU second of Leadline and PostgreSQL",
            measured=f"{told.text(',.0f')} events",
            reference=f"one INSERT an event by asyncpg, client and PostgreSQL: {reference.text(',.0f')}",
            ratio=ratio.text(",.1f"),
            goal=f">= {BATCH_GOAL:.0f} and >= {EVENTS_GOAL:,} events",
            met=ratio.median >= BATCH_GOAL and told.median >= EVENTS_GOAL,
        ),
        Figure(
            part="batches",
            work="the same per CPU second of Leadline alone",
            measured=f"{alone.text(',.0f')} events",
            reference="-",
            ratio="-",
            goal="-",
        ),
    ]


def insert_one_by_one(running: Bench, *, seed: int) -> Spent:
    """Insert each event of the same kind in a transaction of its own into a plain table."""
    bodies = [(event["messageId"], msgspec.json.encode(event)) for event in events(seed, INSERTS)]
    stored, before, began = cpu_seconds(running.postgres_pid), time.process_time(), time.perf_counter()
    asyncio.run(_insert(running.database_url, bodies))
    used, seconds = time.process_time() - before, time.perf_counter() - began
    storing = cpu_seconds(running.postgres_pid) - stored
    return Spent(INSERTS / used, INSERTS / (used + storing), INSERTS / seconds)


async def _insert(url: str, bodies: Sequence[tuple[str, bytes]]) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(
            "CREATE TABLE IF NOT EXISTS one_by_one (n bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
            " at timestamptz NOT NULL DEFAULT clock_timestamp(),"
            " message_id text NOT NULL, body bytea NOT NULL)"
        )
        insert = await connection.prepare("INSERT INTO one_by_one (message_id, body) VALUES ($1, $2)")
        for message_id, body in bodies:
            await insert.fetch(message_id, body)
    finally:
        await connection.close()
