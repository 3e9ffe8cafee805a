"""Drains spool files: its own and those of processes that are gone, to where the records belong.

A file is deleted when all of it has arrived; a crash before that sends some records twice, and their natural
keys tell.
"""

import asyncio
import fcntl
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import groupby
from pathlib import Path
from typing import BinaryIO

import structlog

from shared.observability import metrics
from shared.spool.frames import Entry, read_entries
from shared.spool.spool import SUFFIX, Spool, sync_directory

log = structlog.get_logger()

BATCH = 200
LOOK_SECONDS = 1.0
# After each batch it rests for as long as the batch took: live traffic has at least half of everything.
LEAST_REST_SECONDS = 0.01

# Delivers records of one kind, in order; raises NotYet while their place is away.
Deliver = Callable[[Sequence[bytes]], Awaitable[None]]


class NotYet(Exception):
    """Where the records belong cannot take them now; they stay in the spool."""


class Drainer:
    """A Runner. `deliver` names what each kind of record is handed to."""

    def __init__(
        self,
        spool: Spool,
        deliver: Mapping[str, Deliver],
        *,
        service: str,
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        self._spool = spool
        self._deliver = deliver
        self._service = service
        self._look_seconds = look_seconds

    async def run(self, stop: asyncio.Event) -> None:
        """Drain until `stop`."""
        while not stop.is_set():
            with suppress(NotYet):
                await self.turn()
            metrics.SPOOLED_BYTES.labels(self._service).set(size(self._spool.directory))
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), self._look_seconds)

    async def turn(self) -> int:
        """Drain what can be drained; return how many records arrived. Raises NotYet."""
        if not any(_files(self._spool.directory)):
            return 0
        await self._spool.hand_over()
        arrived = 0
        for path in _files(self._spool.directory):
            with _taken(path) as file:
                if file is not None:
                    arrived += await self._drain(path, file)
        return arrived

    async def _drain(self, path: Path, file: BinaryIO) -> int:
        arrived = 0
        for batch in _batches(file):
            began = asyncio.get_running_loop().time()
            for kind, entries in groupby(batch, key=lambda entry: entry.kind):
                await self._deliver[kind]([entry.payload for entry in entries])
            arrived += len(batch)
            took = asyncio.get_running_loop().time() - began
            await asyncio.sleep(max(took, LEAST_REST_SECONDS))
        _forget(path)
        log.info("spool_drained", records=arrived)
        metrics.UNSPOOLED.labels(self._service).inc(arrived)
        return arrived


def _forget(path: Path) -> None:
    path.unlink()
    sync_directory(path.parent)


def _batches(file: BinaryIO) -> Iterator[list[Entry]]:
    batch: list[Entry] = []
    for _, entry in read_entries(file):
        batch.append(entry)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _files(directory: Path) -> list[Path]:
    """Return the spool files, the oldest first; names say nothing, times are close enough."""
    found = []
    for path in directory.glob(f"*{SUFFIX}"):
        with suppress(FileNotFoundError):
            found.append((path.stat().st_mtime_ns, path))
    return [path for _, path in sorted(found)]


@contextmanager
def _taken(path: Path) -> Iterator[BinaryIO | None]:
    """Give the file locked for us; None where its writer or another drainer has it, or it is gone."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        yield None
        return
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
            return
        # Another one may have drained it between our opening and our lock.
        yield file if path.exists() else None


def size(directory: Path) -> int:
    """Return how many bytes wait under `directory`."""
    total = 0
    for path in directory.glob(f"*{SUFFIX}"):
        with suppress(FileNotFoundError):
            total += path.stat().st_size
    return total
