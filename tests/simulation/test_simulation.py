"""The plumbing under many seeds and a crash at every boundary; what is wrong on purpose must be noticed."""

import asyncio
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from services.ingest.adapters.detour import MESSAGES, SpooledLog
from services.ingest.usecases.spool_intake import pack_messages
from shared.bus.port import BusUnavailable, Outgoing
from shared.consumer.consumer import Consumer
from shared.outbox.relay import Relay
from shared.outbox.rows import select_unsent
from shared.spool.drain import Drainer
from shared.spool.frames import HEADER, Entry
from tests.simulation.run import Faulty, simulate
from tests.simulation.store import OutboxRow, PositionRow, Store

ROOT = Path(__file__).resolve().parents[2]
SEEDS = 2000
# Of so many seeds at least one has to notice what is wrong on purpose.
ENOUGH = 300


def test_two_thousand_seeds_find_nothing() -> None:
    said = subprocess.run(
        [sys.executable, "-m", "tests.simulation", "--seeds", str(SEEDS)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert said.returncode == 0, said.stdout + said.stderr[-2000:]
    assert f"simulation: {SEEDS} seeds" in said.stdout


def test_a_seed_gives_the_same_run_each_time() -> None:
    once, again = (simulate(17) for _ in range(2))
    assert once.trace == again.trace
    assert len(once.trace) > 100
    assert simulate(18).trace != once.trace


def test_a_crash_at_each_boundary_loses_nothing() -> None:
    boundaries = simulate(3, calm=True).calls
    assert boundaries > 300
    for number in range(1, boundaries + 1):
        outcome = simulate(3, crash_at=number, calm=True)
        assert any("CRASH" in line for line in outcome.trace), number
        assert outcome.findings == [], f"a crash at boundary {number}"


class CursorStore(Store):
    """A relay that reads on from the last id it has seen."""

    cursor = 0

    def unsent(self, limit: int) -> list[OutboxRow]:
        found = [row for row in super().unsent(limit) if row.id > self.cursor]
        self.cursor = max([self.cursor, *(row.id for row in found)])
        return found


class UnfencedStore(Store):
    """Whoever was once the owner moves the position."""

    def is_ours(self, row: PositionRow, epoch: int, since: int) -> bool:
        return True


class StaleStore(Store):
    """The owner is known, and not whether it read from where the position is."""

    def is_ours(self, row: PositionRow, epoch: int, since: int) -> bool:
        return row.epoch == epoch


async def answer_first(self: SpooledLog, messages: Sequence[Outgoing]) -> None:
    """Answer before the disk has it."""
    try:
        await self._log.append(messages)
    except BusUnavailable:
        keep = self._spool.append([Entry(MESSAGES, pack_messages(messages))])
        asyncio.get_running_loop().create_task(keep).add_done_callback(lambda task: task.exception())


async def mark_first(self: Relay) -> int:
    """Mark, then send."""
    if not await self._leads():
        return 0
    rows, epoch = await select_unsent(self._database, limit=self._options.batch)
    if rows:
        await self._mark(rows, epoch)
        await self._bus.append([self._message(row, epoch) for row in rows])
    return len(rows)


async def forget_first(self: Drainer, path: Path, file: Any) -> int:
    """Delete the file, then deliver what it held."""
    path.unlink()  # noqa: ASYNC240
    arrived: int = await DRAIN(self, _Anywhere(path), file)
    return arrived


DRAIN: Callable[..., Any] = Drainer._drain


class _Anywhere:
    """A path whose file is gone already."""

    def __init__(self, path: Path) -> None:
        self.parent = path.parent

    def unlink(self) -> None:
        """Do nothing."""


def trusting(file: Any) -> Iterator[tuple[int, Entry]]:
    """Take whatever is there for a record."""
    while len(header := file.read(HEADER.size)) == HEADER.size:
        body = file.read(HEADER.unpack(header)[0])
        if body:
            size = body[0]
            yield file.tell(), Entry(body[1 : 1 + size].decode("ascii", "replace"), body[1 + size :])


async def skip_what_failed(self: Consumer, batch: Any) -> None:
    """Go on after a batch that failed, as if it had been handled."""
    try:
        await COMMIT(self, batch)
    except OSError:
        for part in batch:
            claimed = self._claimed[part.partition]
            self._claimed[part.partition] = type(claimed)(claimed.epoch, part.next_position)


COMMIT: Callable[..., Any] = Consumer._commit
CLASSES = "services.ingest.adapters"
LOST = "was accepted and never took effect"
# What is wrong, and what has to be noticed of it.
FAULTS = {
    "a cursor instead of unsent rows": (Faulty(store=CursorStore), "was never marked as sent"),
    "no fence": (Faulty(store=UnfencedStore), "took effect 2 times"),
    "no contiguity check": (
        Faulty(store=StaleStore, patches={"shared.consumer.consumer.Consumer._commit": skip_what_failed}),
        LOST,
    ),
    "no fsync": (Faulty(syncs=False), LOST),
    "an answer before the disk has it": (
        Faulty(patches={f"{CLASSES}.detour.SpooledLog.append": answer_first}),
        LOST,
    ),
    "marked before it is sent": (Faulty(patches={"shared.outbox.relay.Relay.turn": mark_first}), LOST),
    "a file deleted before it has arrived": (
        Faulty(patches={"shared.spool.drain.Drainer._drain": forget_first}),
        LOST,
    ),
    "torn records trusted": (
        Faulty(patches={"shared.spool.drain.read_entries": trusting}),
        "bytes in a .held file",
    ),
    "a breaker that stays open": (
        Faulty(patches={f"{CLASSES}.guards.Breaker.worked": lambda self: None}),
        "is open though all is well",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_what_is_wrong_on_purpose_is_noticed(name: str) -> None:
    faulty, says = FAULTS[name]
    found = (simulate(seed, faulty=faulty).findings for seed in range(ENOUGH))
    assert any(says in finding for findings in found for finding in findings), f"not noticed: {name}"
