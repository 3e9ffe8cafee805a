"""Carries out the schedule: strikes processes, waits until they are back, notes when that was."""

import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import psutil

from tests.faults.journal import Journal
from tests.faults.machine import BACK_SECONDS, Machine, answers, is_ready, query
from tests.faults.part import Part
from tests.faults.processes import alive, send
from tests.faults.schedule import Fault, How

LOOK_SECONDS = 0.05
PATHS = ("/v1/track", "/v1/leads", "/v1/handoffs")
CUT = (
    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
    " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
)
BEAT = "SELECT beat_at > $1 FROM routing.heartbeat WHERE name = 'timer'"


@dataclass(frozen=True, slots=True)
class Disturbance:
    """A fault from the blow until the machine answers again and its clocks fire. `hit`: all that was down."""

    begin: datetime
    end: datetime
    victim: str
    how: str
    hit: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Blow:
    """A victim struck at `begin`, and since when nothing has held it down."""

    fault: Fault
    begin: datetime
    since: datetime


class Controller(Part):
    """Strikes until `ends_at` (monotonic); what was struck is back when the thread has ended."""

    def __init__(self, machine: Machine, journal: Journal, schedule: Iterator[Fault], ends_at: float) -> None:
        super().__init__("controller")
        self._machine = machine
        self._journal = journal
        self._schedule = schedule
        self._ends_at = ends_at
        self.disturbances: list[Disturbance] = []
        self.counts: Counter[How] = Counter()

    @property
    def kills(self) -> int:
        return self.counts["kill"] + self.counts["freeze_and_kill"]

    @property
    def freezes(self) -> int:
        return self.counts["freeze"] + self.counts["freeze_and_kill"]

    def work(self) -> None:
        for fault in self._schedule:
            if not self._wait(fault.pause):
                return
            if blows := self._strike(fault):
                self._recover(blows)

    def _wait(self, seconds: float) -> bool:
        """Wait, keeping the machine together; False where the run ends before."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if time.monotonic() >= self._ends_at:
                return False
            self._machine.tend()
            time.sleep(LOOK_SECONDS)
        return time.monotonic() < self._ends_at

    def _strike(self, fault: Fault) -> list[Blow]:
        """Strike a victim, and the second one while the first is frozen or recovers."""
        processes = self._machine.processes(fault.victim)
        if not processes:
            return []
        begin, second = datetime.now(UTC), list[Blow]()
        self.counts[fault.how] += 1
        self._journal.note("fault", [fault.victim], "invoke", [fault.how, fault.part, fault.held])
        frozen = fault.how.startswith("freeze")
        if frozen:
            second = self._freeze(fault, processes)
        since = datetime.now(UTC)
        if fault.how == "cut":
            query(self._machine.database_url, CUT)
        elif fault.how != "freeze":
            self._kill(fault, processes)
        if not frozen:
            second = self._strike_second(fault)
        return [Blow(fault, begin, since), *second]

    def _freeze(self, fault: Fault, processes: list[psutil.Process]) -> list[Blow]:
        until = time.monotonic() + fault.held
        send(processes, signal.SIGSTOP)
        second = self._strike_second(fault)
        time.sleep(max(0.0, until - time.monotonic()))
        if fault.how == "freeze":
            send(processes, signal.SIGCONT)
        return second

    def _kill(self, fault: Fault, processes: list[psutil.Process]) -> None:
        killed = _part(fault, processes)
        send(killed, signal.SIGKILL)
        psutil.wait_procs(killed, timeout=5)
        if fault.part != "one":
            self._machine.bring_back(fault.victim)

    def _strike_second(self, fault: Fault) -> list[Blow]:
        if fault.then is None:
            return []
        time.sleep(fault.then.pause)
        return self._strike(fault.then)

    def _recover(self, blows: list[Blow]) -> None:
        """Wait until all that was struck together is back."""
        for blow in blows:
            self._until(partial(self._runs, blow.fault.victim), blows)
        self._until(lambda: answers(self._machine.database_url), blows)
        for url in {door.url for path in PATHS for door in self._machine.doors(path)}:
            self._until(partial(is_ready, url), blows)
        hit = {name for blow in blows for name in self._machine.hit_by(blow.fault.victim)}
        if hit.issuperset(self._machine.timers):
            since = max(blow.since for blow in blows)
            self._until(lambda: bool(query(self._machine.database_url, BEAT, since)), blows)
        end = datetime.now(UTC)
        for blow in blows:
            name = blow.fault.victim
            self.disturbances.append(
                Disturbance(blow.begin, end, name, blow.fault.how, self._machine.hit_by(name))
            )
            self._journal.note("fault", [name], "ok", (end - blow.begin).total_seconds())

    def _runs(self, victim: str) -> bool:
        return bool(self._machine.processes(victim))

    def _until(self, condition: Callable[[], bool], blows: list[Blow]) -> None:
        deadline = time.monotonic() + BACK_SECONDS
        while not condition():
            assert time.monotonic() < deadline, f"not back: {[blow.fault for blow in blows]}"
            self._machine.tend()
            time.sleep(LOOK_SECONDS)


def _part(fault: Fault, processes: list[psutil.Process]) -> list[psutil.Process]:
    if fault.part == "first":
        return processes[:1]
    if fault.part == "one":
        return processes[-1:]
    return [process for process in processes if alive(process)]
