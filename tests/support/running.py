"""A real Leadline for tests: `leadline up` on a folder of its own, its processes found and killed by id."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import psutil

from tests.support.eventually import eventually_sync
from tests.support.freezing import freeze

START_SECONDS = 90.0
STOP_SECONDS = 40.0
NOTHING: Mapping[str, str] = {}
# Without a spool a fault is heard at the door.
NO_SPOOL = {"LEADLINE_SPOOL": "off"}


@dataclass
class RunningLeadline:
    """One `leadline up`: where it listens, its keys, its processes."""

    data_dir: Path
    process: "subprocess.Popen[str]"
    ready: dict[str, Any]
    variables: Mapping[str, str] = field(default_factory=dict)
    _clients: dict[str, httpx2.Client] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        return str(self.ready["url"])

    def client(self, scope: str) -> httpx2.Client:
        """Return the client with the key of that scope; clients are made once, threads share them."""
        with self._lock:
            if scope not in self._clients:
                self._clients[scope] = httpx2.Client(
                    base_url=self.url,
                    headers={"authorization": f"Bearer {self.ready['keys'][scope]}"},
                    timeout=20.0,
                    trust_env=False,
                )
            return self._clients[scope]

    def get(self, path: str, **parameters: Any) -> Any:
        """GET with the read key; a fault of the moment is an AssertionError, so that `eventually` waits."""
        try:
            answer = self.client("read").get(path, params=parameters)
        except httpx2.TransportError as gone:
            raise AssertionError(f"{path}: {type(gone).__name__}") from gone
        assert answer.is_success, f"{path}: {answer.status_code} {answer.text[:300]}"
        return answer.json()

    def send(self, method: str, path: str, *, scope: str, **request: Any) -> httpx2.Response:
        """Send until the answer is not a fault of the moment; the promise is that trying again is safe."""

        def once() -> httpx2.Response:
            try:
                answer = self.client(scope).request(method, path, **request)
            except httpx2.TransportError as gone:
                raise AssertionError(f"{path}: {type(gone).__name__}") from gone
            assert answer.status_code != 503, answer.text[:300]
            return answer

        return eventually_sync(once, timeout_seconds=60, what=f"{method} {path}")

    def child(self, name: str) -> psutil.Process | None:
        """Return the live process `leadline <name>` of this Leadline."""
        for process in psutil.Process(self.process.pid).children():
            try:
                if name in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE:
                    return process
            except psutil.Error:
                continue
        return None

    def postgres(self) -> psutil.Process:
        """Return the embedded server's first process."""
        lines = (self.data_dir / "postgres" / "postmaster.pid").read_text().splitlines()
        return psutil.Process(int(lines[0]))

    def kill(self, what: str) -> None:
        """SIGKILL `api`, `work`, `postgres` or `up` itself."""
        if what == "up":
            os.kill(self.process.pid, signal.SIGKILL)
            self.process.wait(STOP_SECONDS)
            return
        found = self.postgres() if what == "postgres" else self.child(what)
        if found is not None:
            found.kill()

    def start_again(self) -> None:
        """Start on the same folder and port after `up` was killed; keys and data are as before."""
        port = self.url.rpartition(":")[2]
        self._close_stdout()
        again = start(self.data_dir, port=port, variables=self.variables)
        self.process = again.process
        assert again.ready == self.ready

    def stop(self) -> int:
        """Ask it to drain; return its exit status."""
        for client in self._clients.values():
            client.close()
        self._clients.clear()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(STOP_SECONDS)
        self._close_stdout()
        return status

    def _close_stdout(self) -> None:
        assert self.process.stdout is not None
        self.process.stdout.close()


def start(
    data_dir: Path, *arguments: str, port: str = "0", variables: Mapping[str, str] = NOTHING
) -> RunningLeadline:
    """Run `leadline up --json` on `data_dir` and a free port until it says that it is ready.

    `variables` are settings, added to the environment.
    """
    talk = (data_dir.parent / f"{data_dir.name}.talk").open("a")
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "leadline",
            "up",
            "--json",
            "--port",
            port,
            "--data-dir",
            str(data_dir),
            *arguments,
        ],
        stdout=subprocess.PIPE,
        stderr=talk,
        text=True,
        env=environment() | dict(variables),
    )
    talk.close()
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        process.wait(STOP_SECONDS)
        raise AssertionError(f"leadline up did not start:\n{tell(data_dir)}")
    return RunningLeadline(data_dir, process, json.loads(line), variables)


def tell(data_dir: Path) -> str:
    """Return the ends of all logs, for a failed test."""
    files = [data_dir.parent / f"{data_dir.name}.talk", *sorted((data_dir / "logs").glob("*.log"))]
    return "\n".join(f"--- {file.name}\n{_tail(file)}" for file in files if file.exists())


def _tail(file: Path, lines: int = 25) -> str:
    return "\n".join(file.read_text(errors="replace").splitlines()[-lines:])


def environment() -> dict[str, str]:
    """Return the environment for a Leadline of a test."""
    # What the developer's shell says about another Leadline is not for this one.
    return {name: value for name, value in os.environ.items() if not re.match("LEADLINE_", name)}


@contextmanager
def running(
    data_dir: Path, *arguments: str, variables: Mapping[str, str] = NOTHING
) -> Iterator[RunningLeadline]:
    """Give a Leadline that is stopped and cleared away at the end, its database server too."""
    leadline = start(data_dir, *arguments, variables=variables)
    try:
        yield leadline
    finally:
        leadline.stop()
        end_database(data_dir)


@contextmanager
def frozen(leadline: RunningLeadline) -> Iterator[None]:
    """Freeze the database server and all its sessions for the block."""
    postmaster = leadline.postgres()
    # The first process first: it makes no others any more.
    freeze(postmaster)
    processes = [postmaster, *postmaster.children()]
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            freeze(process)
    try:
        yield
    finally:
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.resume()


def end_database(data_dir: Path) -> None:
    """Stop the embedded server that a killed supervisor has left running."""
    from shared.db.embedded import EmbeddedPostgres

    EmbeddedPostgres(data_dir).stop()
