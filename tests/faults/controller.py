"""Carries out the schedule: strikes processes, waits until they are back, notes when that was."""

import asyncio
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import asyncpg
import psutil

from tests.faults.journal import Journal
from tests.faults.machine import BACK_SECONDS, Machine, alive, answers, is_ready, send
from tests.faults.schedule import Fault

LOOK_SECONDS = 0.05
# A new process with routing's timer is back when it has written its first heartbeat.
TIMERS = ("work", "routing-timer", "up")


@dataclass(frozen=True, slots=True)
class Disturbance:
    """A fault from the blow until the machine answers again and its clocks fire."""

    begin: datetime
    end: datetime
    victim: str
    how: str


class Controller(threading.Thread):
    """Strikes until `ends_at` (monotonic); what was struck is back when the thread has ended."""

    def __init__(self, machine: Machine, journal: Journal, schedule: Iterator[Fault], ends_at: float) -> None:
        super().__init__(name="controller", daemon=True)
        self._machine = machine
        self._journal = journal
        self._schedule = schedule
        self._ends_at = ends_at
        self.disturbances: list[Disturbance] = []
        self.kills = 0
        self.freezes = 0
        self.failed: BaseException | None = None

    def run(self) -> None:
        try:
            for fault in self._schedule:
                if not self._wait(fault.pause):
                    return
                self._strike(fault)
        except BaseException as failed:
            self.failed = failed

    def _wait(self, seconds: float) -> bool:
        """Wait, keeping the machine together; False where the run ends before."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if time.monotonic() >= self._ends_at:
                return False
            self._machine.tend()
            time.sleep(LOOK_SECONDS)
        return time.monotonic() < self._ends_at

    def _strike(self, fault: Fault) -> None:
        processes = self._machine.processes(fault.victim)
        if not processes:
            return
        begin = datetime.now(UTC)
        self._journal.note("fault", [fault.victim], "invoke", [fault.how, fault.part, fault.held])
        if fault.how != "kill":
            self._freeze(fault, processes)
        thawed = datetime.now(UTC)
        if fault.how != "freeze":
            self.kills += 1
            killed = _part(fault, processes)
            send(killed, signal.SIGKILL)
            psutil.wait_procs(killed, timeout=5)
            if fault.part != "one":
                self._machine.bring_back(fault.victim)
        self._wait_for_recovery(fault, thawed)
        ended = Disturbance(begin, datetime.now(UTC), fault.victim, fault.how)
        self.disturbances.append(ended)
        self._journal.note("fault", [fault.victim], "ok", (ended.end - ended.begin).total_seconds())

    def _freeze(self, fault: Fault, processes: list[psutil.Process]) -> None:
        self.freezes += 1
        send(processes, signal.SIGSTOP)
        time.sleep(fault.held)
        if fault.how == "freeze":
            send(processes, signal.SIGCONT)

    def _wait_for_recovery(self, fault: Fault, since: datetime) -> None:
        self._until(lambda: bool(self._machine.processes(fault.victim)), fault)
        self._until(lambda: answers(self._machine.database_url), fault)
        for path in ("/v1/track", "/v1/leads", "/v1/handoffs"):
            self._until(partial(is_ready, self._machine.base(path)), fault)
        if fault.victim in TIMERS and fault.how != "freeze":
            self._until(lambda: timers_beat(self._machine.database_url, since), fault)

    def _until(self, condition: Callable[[], bool], fault: Fault) -> None:
        deadline = time.monotonic() + BACK_SECONDS
        while not condition():
            assert time.monotonic() < deadline, f"{fault.victim} is not back after {fault.how}"
            self._machine.tend()
            time.sleep(LOOK_SECONDS)


def _part(fault: Fault, processes: list[psutil.Process]) -> list[psutil.Process]:
    if fault.part == "first":
        return processes[:1]
    if fault.part == "one":
        return processes[-1:]
    return [process for process in processes if alive(process)]


def timers_beat(url: str, since: datetime) -> bool:
    """Return whether routing's timer has written its heartbeat after `since`; it does so before it fires."""

    async def beat() -> bool:
        connection = await asyncpg.connect(url, timeout=3)
        try:
            query = "SELECT beat_at > $1 FROM routing.heartbeat WHERE name = 'timer'"
            return bool(await connection.fetchval(query, since, timeout=3))
        finally:
            connection.terminate()

    with suppress(OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return asyncio.run(beat())
    return False
