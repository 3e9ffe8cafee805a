"""Processes of a machine under faults: found, signalled, and those that we start, started again."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from shared.process import PARENT_PIPE_VARIABLE
from tests.faults.wrong_clocks import forget_shared
from tests.support.running import NOTHING, STOP_SECONDS, environment


def alive(process: psutil.Process) -> bool:
    """Return whether it runs; one that has ended but that nobody has waited for does not."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def send(processes: Sequence[psutil.Process], number: int) -> None:
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


class Started:
    """Processes `python -m ...` on one database, by name. They end when we do; `folder` takes their logs."""

    def __init__(self, folder: Path, database_url: str, variables: Mapping[str, str]) -> None:
        """`variables` are settings that all of them get."""
        self._folder = folder
        self._variables = {**variables, "LEADLINE_DATABASE_URL": database_url}
        # The children read the end of the pipe as our death.
        self._pipe, self._kept_end = os.pipe()
        self._commands: dict[str, tuple[Sequence[str], Path, Mapping[str, str]]] = {}
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def add(
        self, name: str, arguments: Sequence[str], data_dir: Path, variables: Mapping[str, str] = NOTHING
    ) -> None:
        """Start `python -m` with these arguments, its own files in `data_dir`, and variables of its own."""
        self._commands[name] = arguments, data_dir, variables
        self.again(name)

    def again(self, name: str) -> None:
        """Start it, once more when its process has ended."""
        if name in self._running:
            self._running[name].wait(STOP_SECONDS)
            forget_shared(self._running[name].pid)
        arguments, data_dir, variables = self._commands[name]
        data_dir.mkdir(parents=True, exist_ok=True)
        with (self._folder / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(
                [sys.executable, "-m", *arguments],
                stdout=log,
                stderr=log,
                pass_fds=(self._pipe,),
                env=environment() | self._environment(data_dir) | dict(variables),
            )

    def bring_back(self, names: Iterable[str]) -> None:
        """Start those that have ended; a second blow may have had one of them started already."""
        for name in names:
            if not self.live(name):
                self.again(name)

    def _environment(self, data_dir: Path) -> dict[str, str]:
        return self._variables | {
            "LEADLINE_DATA_DIR": str(data_dir),
            PARENT_PIPE_VARIABLE: str(self._pipe),
        }

    def __contains__(self, name: object) -> bool:
        return name in self._running

    def live(self, name: str) -> list[psutil.Process]:
        """Return its process, if it runs."""
        process = self._running[name]
        return [psutil.Process(process.pid)] if process.poll() is None else []

    def ended(self) -> Iterator[str]:
        """Give the names of those that have ended."""
        for name, process in self._running.items():
            if process.poll() is not None:
                yield name

    def stop(self) -> None:
        """Let all of them drain."""
        for process in self._running.values():
            process.send_signal(signal.SIGTERM)
        for process in self._running.values():
            process.wait(STOP_SECONDS)
            forget_shared(process.pid)
        os.close(self._kept_end)
        os.close(self._pipe)
