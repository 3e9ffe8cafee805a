"""One seed, from the first message to the last check: load under faults, then calm, then what must hold."""

import asyncio
import logging
import shutil
import tempfile
from collections import Counter
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch
from uuid import UUID

import structlog

from shared.contracts.topics import ACTIVITY, HANDOFFS
from tests.simulation.disk import Disk
from tests.simulation.loop import VirtualLoop
from tests.simulation.plumbing import GROUP, Plumbing
from tests.simulation.store import Store
from tests.simulation.world import CALM, Crashed, Dice, World

LOAD_SECONDS = 8.0
EVENTS, DECISIONS = 24, 12
HEALED_SECONDS = 60.0
# The promise at the door, and what the clock of a process may add to it.
PROMISE_SECONDS = 5.0
MEMORY = Path("/dev/shm")


@dataclass(frozen=True, slots=True)
class Faulty:
    """What is wrong on purpose, to see that the checks notice."""

    store: type[Store] = Store
    syncs: bool = True
    patches: Mapping[str, object] = field(default_factory=dict)


@dataclass(slots=True)
class Outcome:
    """What a seed led to; the trace is the same each time."""

    seed: int
    findings: list[str] = field(default_factory=list)
    trace: list[str] = field(default_factory=list)
    calls: int = 0


def simulate(
    seed: int, *, crash_at: int | None = None, calm: bool = False, faulty: Faulty | None = None
) -> Outcome:
    """Run one seed; `crash_at` is the number of a boundary at which whoever gets there crashes.

    `calm`: nothing else goes wrong but what is away for a while.
    """
    faulty = faulty or Faulty()
    world = World(seed, CALM if calm else Dice(), crash_at=crash_at)
    folder = Path(tempfile.mkdtemp(prefix="leadline-sim-", dir=MEMORY if MEMORY.is_dir() else None))
    disk = Disk(world, syncs=faulty.syncs)
    plumbing = Plumbing(world, folder, disk, faulty.store())
    loop = VirtualLoop(lambda: world.rng.uniform(0.0002, 0.02))
    loop.set_exception_handler(lambda _, context: _note(world, context))
    outcome = Outcome(seed)
    try:
        with ExitStack() as patched:
            patched.enter_context(patch("shared.spool.spool.os", disk))
            # Names that a seed decides too.
            patched.enter_context(patch("uuid.uuid4", lambda: UUID(int=world.rng.getrandbits(128))))
            for target, replacement in faulty.patches.items():
                patched.enter_context(patch(target, replacement))
            loop.run_until_complete(_live(plumbing, outcome))
            outcome.trace, outcome.calls = list(world.trace), world.calls
            _end_all(loop)
    except Exception as bug:
        outcome.findings.append(f"the simulation ended with {bug!r}")
    finally:
        loop.close()
        shutil.rmtree(folder)
    return outcome


def _note(world: World, context: dict[str, Any]) -> None:
    """Keep what a task ended with, but for the end of its process."""
    fault = context.get("exception")
    if not isinstance(fault, Crashed):
        world.faults.append(f"{context['message']}: {fault!r}")


async def _live(plumbing: Plumbing, outcome: Outcome) -> None:
    world = plumbing.world
    plumbing.start()
    clients = [asyncio.create_task(client) for client in _load(plumbing)]
    await asyncio.sleep(LOAD_SECONDS)
    world.calm()
    plumbing.log.available, plumbing.disk.full = True, False
    await asyncio.wait(clients, timeout=HEALED_SECONDS)
    until = world.now + HEALED_SECONDS
    while (left := list(_unfinished(plumbing))) and world.now < until:  # noqa: ASYNC110 a virtual wait
        await asyncio.sleep(0.5)
    outcome.findings += left
    outcome.findings += _broken(plumbing)
    outcome.findings += world.faults


def _load(plumbing: Plumbing) -> Iterator[Coroutine[Any, Any, None]]:
    world = plumbing.world

    async def later(work: Coroutine[Any, Any, None]) -> None:
        await asyncio.sleep(world.rng.uniform(0.0, LOAD_SECONDS))
        await work

    async def away() -> None:
        plumbing.log.available = False
        await asyncio.sleep(world.rng.uniform(0.2, 4.0))
        plumbing.log.available = True

    async def full() -> None:
        plumbing.disk.full = True
        await asyncio.sleep(world.rng.uniform(0.2, 2.0))
        plumbing.disk.full = False

    for number in range(EVENTS):
        yield later(plumbing.track(b"event %d" % number))
    for number in range(DECISIONS):
        yield later(plumbing.decide(b"decision %d" % number, f"lead-{number % 3}"))
    if world.rng.random() < 0.7:
        yield later(away())
    if world.rng.random() < 0.3:
        yield later(full())


def _unfinished(plumbing: Plumbing) -> Iterator[str]:
    """Say what has not arrived where it must in the end."""
    store, log = plumbing.store, plumbing.log
    committed = {value for values in plumbing.committed.values() for value in values}
    for value in sorted((plumbing.acknowledged | committed) - store.values):
        yield f"{value.decode()} was accepted and never took effect"
    for topic in (ACTIVITY.name, HANDOFFS.name):
        for record in log.records(topic):
            place = record.partition.topic, record.partition.number, record.offset
            if not store.handled.get(place):
                yield f"offset {place} was never handled"
    for row in store.outbox.values():
        if not row.sent:
            yield f"outbox row {row.id} was never marked as sent"
    for file in sorted(plumbing.folder.iterdir()):
        yield f"the spool keeps {file.stat().st_size} bytes in a {file.suffix} file"
    for name, breaker in plumbing.breakers.items():
        if breaker.is_open:
            yield f"the breaker of {name} is open though all is well"


def _broken(plumbing: Plumbing) -> Iterator[str]:
    """Say what must never be, at no time."""
    yield from _effects(plumbing)
    yield from _outbox(plumbing)
    yield from _orders(plumbing)
    if plumbing.store.letters:
        yield f"dead letters: {plumbing.store.letters}"
    if plumbing.world.slowest > PROMISE_SECONDS:
        yield f"an answer took {plumbing.world.slowest:.2f} s"


def _effects(plumbing: Plumbing) -> Iterator[str]:
    """Each offset takes effect once; positions pass no message over; nothing is there that nobody sent."""
    for place, count in plumbing.store.handled.items():
        if count > 1:
            yield f"offset {place} took effect {count} times"
    for value in sorted(plumbing.store.values - plumbing.sent):
        yield f"{value!r} was never sent"
    for (group, topic, number), position in plumbing.store.positions.items():
        assert group == GROUP
        records = [one for one in plumbing.log.records(topic) if one.partition.number == number]
        if records and position.next_offset <= records[-1].offset:
            yield f"{topic}/{number} ends at {position.next_offset}, the log at {records[-1].offset}"


def _outbox(plumbing: Plumbing) -> Iterator[str]:
    """Each row is marked once, and the feed is numbered without a gap."""
    rows = plumbing.store.outbox.values()
    for row in rows:
        if row.sent > 1:
            yield f"outbox row {row.id} was marked {row.sent} times"
    numbered = sorted(row.feed_seq or 0 for row in rows)
    if numbered != list(range(1, len(numbered) + 1)):
        yield f"the feed is numbered {numbered}"


def _orders(plumbing: Plumbing) -> Iterator[str]:
    """What was committed under one key is told in that order, repeats aside."""
    first_told: dict[str, dict[bytes, None]] = {}
    for record in plumbing.log.records(HANDOFFS.name):
        first_told.setdefault(record.key, {}).setdefault(record.value)
    for key, values in plumbing.committed.items():
        told = [value for value in first_told.get(key, {}) if value in values]
        if told != values:
            yield f"{key} was told in the order {told}, committed as {values}"


def _end_all(loop: asyncio.AbstractEventLoop) -> None:
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    loop.run_until_complete(asyncio.wait(tasks, timeout=1.0)) if tasks else None


def silence() -> None:
    """Let the plumbing log nothing: what happened is in the trace."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


def summary(outcomes: list[Outcome]) -> str:
    """Return the findings of many seeds, counted by their kind."""
    kinds = Counter(" ".join(finding.split()[:2]) for one in outcomes for finding in one.findings)
    return ", ".join(f"{count}x {kind}" for kind, count in kinds.most_common())
