"""What parts of the benchmark stand on: a PostgreSQL of their own, a running Leadline, what processes use."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import psutil

from shared.db import migrate
from shared.db.database import Database
from shared.db.embedded import EmbeddedPostgres, create_database_sql

STOP_SECONDS = 60.0
MEGABYTE = 1_000_000
NOTHING: Mapping[str, str] = {}


@contextmanager
def postgres(*databases: str) -> Iterator[Sequence[str]]:
    """Give the URLs of fresh, migrated databases on one embedded server, which is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="leadline-bench-") as folder:
        server = EmbeddedPostgres(Path(folder))
        server.start()
        try:
            asyncio.run(_create(server.url("postgres"), databases))
            urls = [server.url(name) for name in databases]
            for url in urls:
                migrate.upgrade(url)
            yield urls
        finally:
            server.stop()


async def _create(url: str, databases: Sequence[str]) -> None:
    async with owner(url) as connection:
        for name in databases:
            await connection.execute(create_database_sql(name))


@asynccontextmanager
async def owner(url: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """Give a connection as the database's owner, without the time-outs of the services."""
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


@dataclass(frozen=True, slots=True)
class Machine:
    """A running `leadline up`: where it listens, its first keys by scope, its processes by name."""

    url: str
    keys: Mapping[str, str]
    database_url: str
    processes: Mapping[str, psutil.Process]
    server: psutil.Process

    def database(self) -> list[psutil.Process]:
        """Return the processes of its PostgreSQL; they come and go with the connections."""
        return [self.server, *self.server.children(recursive=True)]


@contextmanager
def leadline(*arguments: str, variables: Mapping[str, str] = NOTHING) -> Iterator[Machine]:
    """Give a Leadline of real processes on a folder and a port of its own; stopped and gone afterwards.

    `variables` are settings of it.
    """
    with tempfile.TemporaryDirectory(prefix="leadline-bench-") as folder:
        data_dir, talk = Path(folder) / "data", Path(folder) / "talk"
        command = [sys.executable, "-m", "leadline", "up", "--json", "--port", "0"]
        with talk.open("w") as said:
            process = subprocess.Popen(
                [*command, "--data-dir", str(data_dir), *arguments],
                stdout=subprocess.PIPE, stderr=said, env=_environment() | dict(variables), text=True,
            )  # fmt: skip
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            if not line:
                raise RuntimeError(f"leadline up did not start:\n{talk.read_text('utf-8')}")
            yield _machine(process.pid, data_dir, json.loads(line))
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(STOP_SECONDS)
            process.stdout.close()
            EmbeddedPostgres(data_dir).stop()


def _environment() -> dict[str, str]:
    # What the developer's shell says about another Leadline is not for this one.
    return {name: value for name, value in os.environ.items() if not re.match("LEADLINE_", name)}


def _machine(supervisor: int, data_dir: Path, ready: Mapping[str, object]) -> Machine:
    running = json.loads((data_dir / "running.json").read_text("utf-8"))
    parent = psutil.Process(supervisor)
    children = {name: _child(parent, name) for name in ("api", "work")}
    server = psutil.Process(int((data_dir / "postgres" / "postmaster.pid").read_text().splitlines()[0]))
    return Machine(
        str(ready["url"]), running["keys"], running["database_url"], {"up": parent, **children}, server
    )


def _child(parent: psutil.Process, name: str) -> psutil.Process:
    return next(process for process in parent.children() if name in process.cmdline())


def cpu_seconds(processes: Iterable[psutil.Process]) -> float:
    """Return the CPU time that these processes have used; one that has ended counts nothing."""
    total = 0.0
    for process in processes:
        try:
            used = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += used.user + used.system
    return total


async def backend_cpu_seconds(database: Database) -> float:
    """Return the CPU time of the server processes that work for this pool."""
    sql = "SELECT pid FROM pg_stat_activity WHERE application_name = $1 AND datname = current_database()"
    async with database.connection() as connection:
        rows = await connection.fetch(sql, f"leadline-{database.schema}")
    return cpu_seconds(psutil.Process(row["pid"]) for row in rows)


def resident_megabytes(process: psutil.Process) -> float:
    """Return what a process holds in memory, shared pages included."""
    return float(process.memory_info().rss) / MEGABYTE


def proportional_megabytes(processes: Iterable[psutil.Process]) -> float:
    """Return what processes hold together, pages that they share counted once; for PostgreSQL."""
    total = 0.0
    for process in processes:
        try:
            total += float(process.memory_full_info().pss)
        except psutil.NoSuchProcess:
            continue
    return total / MEGABYTE
