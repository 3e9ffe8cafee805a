"""Child processes of `leadline up`: started, watched, started again with growing pauses, ended with us.

A child holds the reading end of a pipe whose other end only we hold; it ends when we die, however we die.
"""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared.process import DRAIN_SECONDS, GATE_PIPE_VARIABLE, PARENT_PIPE_VARIABLE

# A crash loop must neither burn the machine nor keep a mended cause waiting for long.
FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 5.0
# Having lived this long, a child is taken to have been well: the next crash starts from the first pause.
HEALTHY_AFTER_SECONDS = 30.0
LOG_ROTATE_BYTES = 20_000_000


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """What to run: arguments of `python -m leadline`, environment added, file descriptors handed on."""

    name: str
    arguments: Sequence[str]
    environment: Mapping[str, str]
    log_file: Path
    descriptors: tuple[int, ...] = ()
    module: str = "leadline"


def next_pause(pause_seconds: float, lived_seconds: float) -> float:
    """Return how long to wait before the start that follows a life of `lived_seconds`."""
    if lived_seconds >= HEALTHY_AFTER_SECONDS:
        return FIRST_PAUSE_SECONDS
    return min(pause_seconds * 2, LONGEST_PAUSE_SECONDS)


class Pipes:
    """What the children read of us: `parent` ends when we die, however we die; `gate` when we open it.

    Children start at once, load their code, and wait at the gate for the database to be ready.
    """

    def __init__(self) -> None:
        # The writing ends live in this process alone: children are handed the reading ones by number.
        self.parent, self._kept_parent = os.pipe()
        self.gate, self._kept_gate = os.pipe()

    def open_gate(self) -> None:
        os.close(self._kept_gate)


class Child:
    """One supervised process. `run` keeps it alive until `stop`; `pid` is that of the present one."""

    def __init__(self, spec: ChildSpec, pipes: Pipes, say: Callable[[str], None]) -> None:
        self._spec = spec
        self._pipes = pipes
        self._say = say
        self._process: asyncio.subprocess.Process | None = None
        self.starts = 0

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process and self._process.returncode is None else None

    async def run(self, stop: asyncio.Event) -> None:
        """Start the process, and again whenever it ends, until `stop`; then drain it."""
        pause = FIRST_PAUSE_SECONDS
        loop = asyncio.get_running_loop()
        while not stop.is_set():
            began = loop.time()
            process = await self._start()
            await _first_of(process.wait(), stop.wait())
            if stop.is_set():
                await self._drain(process)
                return
            pause = next_pause(pause / 2 if self.starts == 1 else pause, loop.time() - began)
            # The reason is in its log alone, which may be long, and hold what is not for here.
            self._say(
                f"{self._spec.name} ended ({_how(process.returncode)}); starting it again in {pause:.1f} s"
                f" (why: {self._spec.log_file})"
            )
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), pause)

    def kill(self) -> None:
        """End the present process at once."""
        if self._process and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGKILL)

    async def _start(self) -> asyncio.subprocess.Process:
        self.starts += 1
        _rotate(self._spec.log_file)
        with self._spec.log_file.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                self._spec.module,
                *self._spec.arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={
                    **os.environ,
                    **self._spec.environment,
                    PARENT_PIPE_VARIABLE: str(self._pipes.parent),
                    GATE_PIPE_VARIABLE: str(self._pipes.gate),
                },
                pass_fds=(self._pipes.parent, self._pipes.gate, *self._spec.descriptors),
                # A Ctrl-C at the terminal is for us alone; we drain the children in our own order.
                start_new_session=True,
            )
        return self._process

    async def _drain(self, process: asyncio.subprocess.Process) -> None:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), DRAIN_SECONDS + 2)
        except TimeoutError:
            self._say(f"{self._spec.name} did not drain in time; ending it")
            self.kill()
            await process.wait()


async def _first_of(*waits: Coroutine[Any, Any, Any]) -> None:
    tasks = [asyncio.create_task(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


def _how(status: int | None) -> str:
    if status is not None and status < 0:
        return f"signal {signal.Signals(-status).name}"
    return f"status {status}"


def _rotate(log_file: Path) -> None:
    if log_file.exists() and log_file.stat().st_size > LOG_ROTATE_BYTES:
        log_file.replace(log_file.with_suffix(".log.1"))
