"""One run: traffic, reps and faults for a time, then rest, then the checks, then one line that sums up."""

import pickle
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

import psutil

from tests.faults.brokers import Brokers, NoBrokers
from tests.faults.checks import (
    arrivals,
    audit,
    clocks,
    commands,
    handoffs,
    liveness,
    log,
    outages,
    settled,
)
from tests.faults.checks.scores import compare_scores
from tests.faults.clients import Caller, Poster, http
from tests.faults.controller import Controller, Killed
from tests.faults.crm import Crm
from tests.faults.evidence import Evidence, gather, wait_until_quiet
from tests.faults.follower import Follower
from tests.faults.halt import HEALED_SECONDS, Halt
from tests.faults.journal import Journal
from tests.faults.log import LogReader
from tests.faults.machine import Machine, query
from tests.faults.machines import Apart, Standalone
from tests.faults.part import Part
from tests.faults.processes import send
from tests.faults.reps import Desk
from tests.faults.schedule import UPGRADE, How, Spoilt, Wrong, faults, outage, with_once
from tests.faults.spoilables import spoil
from tests.faults.steward import Steward
from tests.faults.traffic import Visitors

MACHINES: dict[str, type[Standalone] | type[Apart]] = {"standalone": Standalone, "apart": Apart}
POLICY = Path(__file__).with_name("policy.yaml")
# Events are cheap in large batches; a form costs a hand-off or three, each with clocks of its own.
CLIENTS = 3
RATE = 2.0
FORMS_PERCENT = 45
# A run is not over before it has struck this often.
SECONDS_A_BLOW = 10
LOOK_SECONDS = 0.2
SCOPES = ("ingest", "work", "admin")
SHOWN = 5

BusName = Literal["postgres", "kafka"]
BUSES: tuple[BusName, ...] = get_args(BusName)
Check = Callable[[Evidence], Iterator[str]]
CHECKS: tuple[Check, ...] = (
    *arrivals.CHECKS,
    *handoffs.CHECKS,
    *commands.CHECKS,
    *clocks.CHECKS,
    *outages.CHECKS,
    *settled.CHECKS,
    *log.CHECKS,
    *audit.CHECKS,
    *liveness.CHECKS,
)


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do: strike for `seconds`, drawn from `seed`, with an outage in the middle or without.

    `upgrade`: let a next release's schema come, and restart everything on it.
    `database_disk`: let the database's disk be a small one, and full at times.
    """

    seed: int
    seconds: float
    outage: bool = False
    bus: BusName = "postgres"
    database_disk: bool = False
    upgrade: bool = False


@dataclass(slots=True)
class Report:
    """What a run amounted to. `findings`: check -> what contradicts it."""

    machine: str
    plan: Plan
    blows: Mapping[How, int] = field(default_factory=dict)
    killed: Counter[Killed] = field(default_factory=Counter)
    seconds: float = 0.0
    counts: dict[str, int] = field(default_factory=dict)
    lateness: str = ""
    lacks: tuple[str, ...] = ()
    findings: dict[str, list[str]] = field(default_factory=dict)

    @property
    def kills(self) -> int:
        return self.blows.get("kill", 0) + self.blows.get("freeze_and_kill", 0)

    @property
    def freezes(self) -> int:
        return self.blows.get("freeze", 0) + self.blows.get("freeze_and_kill", 0)

    @property
    def cuts(self) -> int:
        return self._blows("cut", *get_args(Spoilt))

    @property
    def disks(self) -> int:
        return self._blows("full")

    @property
    def upgrades(self) -> int:
        return self._blows("upgrade")

    @property
    def wrong_clocks(self) -> int:
        return self._blows(*get_args(Wrong))

    def _blows(self, *hows: How) -> int:
        return sum(self.blows.get(how, 0) for how in hows)

    @property
    def found(self) -> int:
        return sum(map(len, self.findings.values()))

    @property
    def name(self) -> str:
        return f"{self.machine} seed {self.plan.seed}"

    def sums(self) -> dict[str, float]:
        """Return what can be added up over runs."""
        return {
            "seconds": self.seconds,
            "findings": self.found,
            "process kills": self.killed["processes"],
            "broker and database kills": self.killed["servers"],
            "freezes": self.freezes,
            "cuts and spoilt lines": self.cuts,
            "full disks": self.disks,
            "clocks set wrong": self.wrong_clocks,
            "upgrades": self.upgrades,
            "acknowledged events": self.counts.get("acknowledged events", 0),
            "clocks": self.counts.get("clocks", 0),
        }

    def lines(self) -> Iterator[str]:
        """Return the report for people; the last line sums up."""
        for check, found in self.findings.items():
            yield f"FINDING {check}: {len(found)}"
            yield from (f"    {one}" for one in found[:SHOWN])
        yield from self.lacks
        counts = ", ".join(f"{count} {what}" for what, count in self.counts.items())
        yield (
            f"faults {self.name}, {self.seconds:.0f} s:"
            f" {self.killed['processes']} process kills, {self.killed['servers']} broker and database kills,"
            f" {self.freezes} freezes, {self.cuts} cuts and spoilt lines, {self.disks} full disks,"
            f" {self.wrong_clocks} clocks set wrong, {self.upgrades} upgrades, {counts}, {self.lateness},"
            f" {self.found} findings"
        )


def run(machine_name: str, plan: Plan, folder: Path | None = None) -> Report:
    """Start a machine in `folder` (a temporary one by default), run, check, stop."""
    with tempfile.TemporaryDirectory(prefix="leadline-faults-") as temporary:
        home = folder or Path(temporary)
        home.mkdir(parents=True, exist_ok=True)
        brokers = Brokers(home / "kafka") if plan.bus == "kafka" else NoBrokers()
        with ExitStack() as started:
            started.callback(brokers.stop)
            machine = MACHINES[machine_name](home / machine_name, brokers, database_disk=plan.database_disk)
            started.callback(machine.stop)
            started.callback(thaw, machine)
            return _run(machine, plan, home)


def thaw(machine: Machine) -> None:
    """Let go on whatever is frozen: a run may be ended in the middle of a blow."""
    for things in machine.spoilables.values():
        spoil(things, "whole")
    for victim in [name for name in machine.victims if name not in machine.spoilables]:
        with suppress(psutil.Error):
            send(machine.processes(victim), signal.SIGCONT)


def talk_freely(url: str) -> None:
    """Let the server log who waited for whom in a deadlock: here no person's data is in it."""
    query(url, "ALTER SYSTEM SET log_error_verbosity = 'default'")
    assert query(url, "SELECT pg_reload_conf()")


def _run(machine: Machine, plan: Plan, home: Path) -> Report:
    talk_freely(machine.database_url)
    with http(machine, "admin") as client:
        answer = client.put(
            machine.base("/v1/policies") + "/v1/policies",
            content=POLICY.read_bytes(),
            headers={"content-type": "application/yaml"},
        )
        assert answer.is_success, answer.text
    journal = Journal(home / f"{machine.name}-journal.jsonl")
    halt = Halt(plan.seconds, blows=int(plan.seconds / SECONDS_A_BLOW))
    with closing(journal):
        controller, follower, reader = _work(machine, journal, plan, halt)
    report = Report(f"{machine.name} {plan.bus}", plan, controller.counts, controller.kills, halt.passed())
    report.lacks = machine.lacks
    if restless := wait_until_quiet(machine, HEALED_SECONDS):
        report.findings["the machine comes to rest"] = restless
    follower.catch_up()
    evidence = gather(machine, journal.path, controller.disturbances, follower.seen, reader.seen)
    (home / f"{machine.name}-evidence.pickle").write_bytes(pickle.dumps(evidence))
    judge(evidence, report)
    with http(machine, "read") as client:
        compared, differences = compare_scores(machine, client, plan.seed)
    report.counts["scores"] = compared
    report.findings |= differences
    return report


def _work(
    machine: Machine, journal: Journal, plan: Plan, halt: Halt
) -> tuple[Controller, Follower, LogReader]:
    """Let clients, reps and the controller work until the end, and everything begun has ended."""
    schedule = faults(plan.seed, machine.victims)
    if plan.outage:
        schedule = with_once(schedule, outage(plan.seed), lambda: halt.passed() >= plan.seconds / 2)
    if plan.upgrade:
        schedule = with_once(schedule, UPGRADE, lambda: halt.passed() >= plan.seconds / 4)
    controller = Controller(machine, journal, schedule, halt)
    follower = Follower(machine, halt, plan.seed)
    callers = [Caller(machine, journal, halt, scope, f"{scope} {plan.seed}") for scope in SCOPES]
    reader = LogReader(machine, halt)
    parts: list[Part] = [controller, follower, reader, *_people(callers, halt, plan.seed)]
    for part in parts:
        part.start()
    while any(part.is_alive() for part in parts):
        if any(part.failed is not None for part in parts):
            # Without it the others may wait for what never comes.
            halt.end()
        time.sleep(LOOK_SECONDS)
    for caller in callers:
        caller.close()
    for part in parts:
        if part.failed is not None:
            raise part.failed
    return controller, follower, reader


def _people(callers: Sequence[Caller], halt: Halt, seed: int) -> Iterator[Part]:
    """Give all who want something of the machine."""
    site, sales, admin = callers
    yield Desk(sales, halt, seed)
    yield Crm(sales, halt, seed)
    yield Steward(admin, halt, seed)
    for number in range(CLIENTS):
        visitors = Visitors(seed, f"c{number}", forms_percent=FORMS_PERCENT)
        yield Poster(site, halt, visitors, rate=RATE, seed=f"{seed} {number}")


def judge(evidence: Evidence, report: Report, checks: Sequence[Check] = CHECKS) -> None:
    """Fill a report with what the checks find."""
    for check in checks:
        if found := list(check(evidence)):
            report.findings[check.__name__.replace("_", " ")] = found
    calm, disturbed = clocks.lateness(evidence)
    undisturbed = [seconds for seconds, _ in calm]
    after = [seconds for seconds, _ in disturbed]
    events, forms = (len(arrivals.acknowledged(evidence, op)) for op in ("event", "form"))
    report.counts |= {
        "acknowledged events": events + forms,
        "of forms": forms,
        "hand-offs": len(evidence.tables["handoffs"]),
        "of a later cycle": sum(row["cycle"] > 1 for row in evidence.tables["handoffs"]),
        "acts": len(evidence.tables["acts"]),
        "told by a CRM": len(arrivals.acknowledged(evidence, "feedback")),
        "pauses": len(arrivals.acknowledged(evidence, "pause")),
        "merges and splits": sum(len(arrivals.acknowledged(evidence, op)) for op in ("merge", "unmerge")),
        "outages": len(evidence.tables["outages"]),
        "clocks": len(evidence.tables["clocks"]),
        "warnings, breaches and rungs": len(calm) + len(disturbed),
    }
    report.lateness = (
        f"late p99 {clocks.quantile(undisturbed, 0.99):.2f} s undisturbed ({len(calm)}),"
        f" at most {max([0.0, *after]):.1f} s after recovery"
    )
