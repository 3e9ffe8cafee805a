"""Carries out the schedule: strikes processes, waits until they are back, notes when that was."""

import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Literal

import psutil

from tests.faults.brokers import ALL as ALL_BROKERS
from tests.faults.halt import Halt
from tests.faults.journal import Journal
from tests.faults.machine import BACK_SECONDS, Machine, answers, is_ready, query
from tests.faults.next_release import put_next_schema
from tests.faults.part import Part
from tests.faults.processes import alive, send
from tests.faults.schedule import EVERYTHING, UPGRADE, Fault, How
from tests.faults.spoilables import spoil
from tests.faults.surroundings import DATABASE_DISK

LOOK_SECONDS = 0.05
KILLS = ("kill", "freeze_and_kill")
Killed = Literal["processes", "servers"]
PATHS = ("/v1/track", "/v1/leads", "/v1/handoffs")
CUT = (
    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
    " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
)
BEAT = "SELECT beat_at > $1 FROM routing.heartbeat WHERE name = 'timer'"


@dataclass(frozen=True, slots=True)
class Disturbance:
    """A fault from the blow until the machine answers again and its clocks fire.

    `since`: from when on nothing held it down; `hit`: all that was down.
    """

    begin: datetime
    since: datetime
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
    """Strikes until the run ends; what was struck is back when the thread has ended."""

    def __init__(self, machine: Machine, journal: Journal, schedule: Iterator[Fault], halt: Halt) -> None:
        super().__init__("controller")
        self._machine = machine
        self._journal = journal
        self._schedule = schedule
        self._halt = halt
        self._database_has_room = True
        self.disturbances: list[Disturbance] = []
        self.counts: Counter[How] = Counter()
        # Of processes of ours, and of brokers and the database.
        self.kills: Counter[Killed] = Counter()

    def work(self) -> None:
        for fault in self._schedule:
            if not self._wait(fault.pause):
                return
            if fault is UPGRADE:
                self._upgrade(fault)
                continue
            blows = self._strike_all(fault) if fault.victim == EVERYTHING else self._strike(fault)
            if blows:
                self._recover(blows)

    def _wait(self, seconds: float) -> bool:
        """Wait, keeping the machine together; False where the run ends before."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if self._halt.ending():
                return False
            self._machine.tend()
            time.sleep(LOOK_SECONDS)
        return not self._halt.ending()

    def _strike(self, fault: Fault) -> list[Blow]:
        """Strike a victim, and the second one while the first is frozen or recovers."""
        if fault.victim in self._machine.spoilables:
            return self._spoil(fault)
        processes = self._machine.processes(fault.victim)
        if not processes:
            return []
        begin, second = datetime.now(UTC), list[Blow]()
        self._count(fault, [fault.victim])
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

    def _spoil(self, fault: Fault) -> list[Blow]:
        """Let a line, a clock or a disk be as the fault says for a while."""
        things, begin = self._machine.spoilables[fault.victim], datetime.now(UTC)
        self._count(fault, [])
        self._journal.note("fault", [fault.victim], "invoke", [fault.how, fault.part, fault.held])
        spoil(things, fault.how)
        until = time.monotonic() + fault.held
        self._database_has_room = fault.victim != DATABASE_DISK
        second = self._strike_second(fault)
        time.sleep(max(0.0, until - time.monotonic()))
        spoil(things, "whole")
        self._database_has_room = True
        if fault.victim == DATABASE_DISK:
            # It may have ended: without room it cannot go on.
            self._machine.bring_back("postgres")
        return [Blow(fault, begin, datetime.now(UTC)), *second]

    def _count(self, fault: Fault, struck: Sequence[str]) -> None:
        self.counts[fault.how] += 1
        if fault.how in KILLS:
            servers = {"postgres", *self._machine.brokers.victims}
            for name in struck:
                kind: Killed = "servers" if name in servers else "processes"
                self.kills[kind] += len(self._machine.hosts.get(name, ())) or 1

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
        # Without room the server cannot start: it comes back when its disk does.
        if fault.part != "one" and (fault.victim != "postgres" or self._database_has_room):
            self._machine.bring_back(fault.victim)

    def _strike_second(self, fault: Fault) -> list[Blow]:
        if fault.then is None:
            return []
        time.sleep(fault.then.pause)
        return self._strike(fault.then)

    def _upgrade(self, fault: Fault) -> None:
        """Put the next release's schema below us, then end and start every process and broker in turn."""
        self._count(fault, [])
        self._journal.note("fault", [fault.victim], "invoke", [fault.how, fault.part, fault.held])
        tables = put_next_schema(self._machine.database_url)
        self._journal.note("fault", [fault.victim], "ok", tables)
        for name in self._machine.restarted:
            begin, processes = datetime.now(UTC), self._machine.processes(name)
            send(processes, signal.SIGTERM)
            _, left = psutil.wait_procs(processes, timeout=BACK_SECONDS)
            assert not left, f"{name} does not end when it is told to"
            self._machine.bring_back(name)
            self._recover([Blow(Fault(0.0, name, "upgrade", 0.0), begin, datetime.now(UTC))])

    def _strike_all(self, fault: Fault) -> list[Blow]:
        """Freeze or kill all victims, hold them, and let them go on or start them again."""
        begin = datetime.now(UTC)
        self._journal.note("fault", [fault.victim], "invoke", [fault.how, fault.part, fault.held])
        struck = [
            name
            for name in self._machine.victims
            if name not in (*self._machine.spoilables, *self._machine.hosts, ALL_BROKERS)
        ]
        self._count(fault, struck)
        # A supervisor first: it would start what it misses. The server last, and back first.
        order = sorted(struck, key=lambda name: (name == "postgres", name != "up"))
        processes = [process for name in order for process in self._machine.processes(name)]
        send(processes, signal.SIGSTOP if fault.how == "freeze" else signal.SIGKILL)
        time.sleep(fault.held)
        since = datetime.now(UTC)
        if fault.how == "freeze":
            send(processes[::-1], signal.SIGCONT)
        else:
            for name in order[::-1]:
                self._machine.bring_back(name)
        return [Blow(fault, begin, since)]

    def _hit(self, victim: str) -> frozenset[str]:
        if victim == EVERYTHING:
            return frozenset(self._machine.victims)
        return self._machine.hit_by(victim)

    def _recover(self, blows: list[Blow]) -> None:
        """Wait until all that was struck together is back."""
        hit = {name for blow in blows for name in self._hit(blow.fault.victim)}
        for name in hit:
            self._until(partial(self._runs, name), blows)
        self._until(lambda: answers(self._machine.database_url), blows)
        for url in {door.url for path in PATHS for door in self._machine.doors(path)}:
            self._until(partial(is_ready, url), blows)
        if hit.issuperset(self._machine.timers) or hit & self._machine.spoilables.keys():
            since = max(blow.since for blow in blows)
            self._until(lambda: bool(query(self._machine.database_url, BEAT, since)), blows)
        end = datetime.now(UTC)
        for blow in blows:
            self._halt.struck()
            name = blow.fault.victim
            self.disturbances.append(
                Disturbance(blow.begin, blow.since, end, name, blow.fault.how, self._hit(name))
            )
            self._journal.note("fault", [name], "ok", (end - blow.begin).total_seconds())

    def _runs(self, victim: str) -> bool:
        return victim in self._machine.spoilables or bool(self._machine.processes(victim))

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
