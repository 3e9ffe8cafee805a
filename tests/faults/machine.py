"""A Leadline to be struck: `leadline up`, or processes of one role each. Only its own are struck."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Protocol

import asyncpg
import httpx2
import psutil

from leadline.first_keys import first_keys
from shared.contracts.routes import owner_of
from shared.db.embedded import EmbeddedPostgres
from shared.db.migrate import upgrade
from shared.process import PARENT_PIPE_VARIABLE
from tests.support.eventually import eventually_sync
from tests.support.running import STOP_SECONDS, end_database, environment, start, tell

BACK_SECONDS = 60.0


class Machine(Protocol):
    """What the controller strikes and the clients talk to."""

    name: str
    data_dir: Path
    victims: tuple[str, ...]

    @property
    def keys(self) -> Mapping[str, str]: ...

    @property
    def database_url(self) -> str: ...

    def base(self, path: str) -> str:
        """Return the address that answers `path`."""
        ...

    def processes(self, victim: str) -> list[psutil.Process]:
        """Return the live processes of a victim, the first one first."""
        ...

    def bring_back(self, victim: str) -> None:
        """Start a killed victim where nobody else does."""
        ...

    def tend(self) -> None:
        """Start again what has ended by itself, where nobody else does."""
        ...

    def stop(self) -> None: ...


def alive(process: psutil.Process) -> bool:
    """Return whether it runs; one that has ended but that nobody has waited for does not."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def send(processes: list[psutil.Process], number: int) -> None:
    """Send a signal to processes of ours."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)


def server_processes(data_dir: Path) -> list[psutil.Process]:
    """Return the embedded server in `data_dir`: its first process, then its children."""
    try:
        pid = int((data_dir / "postgres" / "postmaster.pid").read_text().splitlines()[0])
        first = psutil.Process(pid)
        if Path(first.cwd()) != (data_dir / "postgres").resolve():
            return []
        return [process for process in (first, *first.children()) if alive(process)]
    except (OSError, ValueError, IndexError, psutil.Error):
        return []


def answers(url: str) -> bool:
    """Return whether the server takes a connection and a query."""

    async def ask() -> bool:
        connection = await asyncpg.connect(url, timeout=3)
        try:
            return bool(await connection.fetchval("SELECT true", timeout=3))
        finally:
            connection.terminate()

    try:
        return asyncio.run(ask())
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return False


def is_ready(base: str) -> bool:
    """Return whether an api says that it is ready."""
    try:
        return httpx2.get(f"{base}/readyz", timeout=2.0, trust_env=False).status_code == httpx2.codes.OK
    except httpx2.HTTPError:
        return False


class Standalone:
    """`leadline up`: it starts its children and the server again by itself, and we start it again."""

    name = "standalone"
    victims: tuple[str, ...] = ("api", "work", "postgres", "up")

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self._running = start(data_dir)

    @property
    def keys(self) -> Mapping[str, str]:
        return dict(self._running.ready["keys"])

    @property
    def database_url(self) -> str:
        return EmbeddedPostgres(self.data_dir).url()

    def base(self, path: str) -> str:
        return self._running.url

    def processes(self, victim: str) -> list[psutil.Process]:
        if victim == "postgres":
            return server_processes(self.data_dir)
        if victim == "up":
            found: psutil.Process | None = psutil.Process(self._running.process.pid)
        else:
            found = self._running.child(victim)
        return [found] if found is not None and alive(found) else []

    def bring_back(self, victim: str) -> None:
        if victim == "up":
            self._running.process.wait(STOP_SECONDS)
            self._running.start_again()

    def tend(self) -> None:
        """The supervisor does it, and it never ends by itself."""
        status = self._running.process.poll()
        assert status is None, f"leadline up ended by itself with {status}:\n{tell(self.data_dir)}"

    def stop(self) -> None:
        self._running.stop()
        end_database(self.data_dir)


# Victim -> service and roles; what runs apart in production runs apart here.
APART: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "ingest-api": ("ingest", ("api",)),
    "ingest-relay": ("ingest", ("relay", "timer")),
    "scoring-api": ("scoring", ("api",)),
    "scoring-worker": ("scoring", ("worker",)),
    "scoring-relay": ("scoring", ("relay", "timer")),
    "routing-api": ("routing", ("api",)),
    "routing-worker": ("routing", ("worker",)),
    "routing-relay": ("routing", ("relay",)),
    "routing-timer": ("routing", ("timer",)),
}


class Apart:
    """Each service as processes of its own on one embedded PostgreSQL; we start again what is killed."""

    name = "apart"
    victims: tuple[str, ...] = (*APART, "postgres")

    def __init__(self, data_dir: Path) -> None:
        data_dir.mkdir(parents=True)
        self.data_dir = data_dir
        self._server = EmbeddedPostgres(data_dir)
        self._url = self._server.start()
        upgrade(self._url)
        self._keys = asyncio.run(first_keys(self._url, data_dir)).by_scope
        # The children read the end of the pipe as our death.
        self._pipe, self._kept_end = os.pipe()
        self._ports = {service: free_port() for service in ("ingest", "scoring", "routing", "leadline")}
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        for victim in APART:
            self.bring_back(victim)
        # The pages over all services, for the checks at the end; it is not struck.
        self._start("leadline-api", ["leadline", "api", "--port", str(self._ports["leadline"])])
        for service in self._ports:
            eventually_sync(partial(is_ready, self._base(service)), timeout_seconds=BACK_SECONDS)

    @property
    def keys(self) -> Mapping[str, str]:
        return self._keys

    @property
    def database_url(self) -> str:
        return self._url

    def base(self, path: str) -> str:
        return self._base(owner_of(path) or "leadline")

    def processes(self, victim: str) -> list[psutil.Process]:
        if victim == "postgres":
            return server_processes(self.data_dir)
        if self._running[victim].poll() is not None:
            return []
        return [psutil.Process(self._running[victim].pid)]

    def bring_back(self, victim: str) -> None:
        if victim == "postgres":
            eventually_sync(self._start_server, timeout_seconds=BACK_SECONDS, what="the server starts")
        else:
            service, roles = APART[victim]
            arguments = [f"services.{service}"]
            for role in roles:
                arguments += ["--role", role]
            self._start(victim, [*arguments, "--port", str(self._ports[service])])

    def tend(self) -> None:
        """Start again what has ended by itself: crash-only processes count on it."""
        for victim in APART:
            if self._running[victim].poll() is not None:
                self.bring_back(victim)

    def stop(self) -> None:
        for process in self._running.values():
            process.send_signal(signal.SIGTERM)
        for process in self._running.values():
            process.wait(STOP_SECONDS)
        os.close(self._kept_end)
        os.close(self._pipe)
        self._server.stop()

    def _start_server(self) -> bool:
        self._server.ensure_running()
        return answers(self._url)

    def _base(self, service: str) -> str:
        return f"http://127.0.0.1:{self._ports[service]}"

    def _start(self, name: str, arguments: list[str]) -> None:
        if name in self._running:
            self._running[name].wait(STOP_SECONDS)
        with (self.data_dir / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(
                [sys.executable, "-m", *arguments],
                stdout=log,
                stderr=log,
                pass_fds=(self._pipe,),
                env=environment()
                | {
                    "LEADLINE_DATABASE_URL": self._url,
                    "LEADLINE_DATA_DIR": str(self.data_dir),
                    PARENT_PIPE_VARIABLE: str(self._pipe),
                },
            )


def free_port() -> int:
    """Return a port of the loopback that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
