"""Drains spool files: its own and those of processes that are gone, to where the records belong.

A file is deleted when all of it has arrived. How far it has is known to this process alone: a crash before
that, or another process that goes on with the file, sends some records twice, and their natural keys tell.
A record that its place refuses is held in a file of its own, and tried again each hour and at the next start.
A file in which more is damaged than the write that a crash tore is set aside, for somebody to look at;
what can be read behind the damage goes on like the rest.
"""

import asyncio
import fcntl
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from itertools import count, groupby
from pathlib import Path
from typing import BinaryIO, TypeVar

import structlog

from shared.observability import metrics
from shared.spool.frames import Entry, is_torn_write, packed, read_entries
from shared.spool.spool import NEW_SUFFIX, SUFFIX, WRITE_SECONDS, OpenFile, Spool, size, sync_directory

log = structlog.get_logger()

ResultT = TypeVar("ResultT")

HELD_SUFFIX = ".held"
TORN_SUFFIX = ".torn"
BATCH = 200
BATCH_BYTES = 1024 * 1024
LOOK_SECONDS = 1.0
# What was refused may have been so for want of something that is there by now.
RELEASE_SECONDS = 3600.0
# Between making and locking a file nothing is waited for: whoever has not done so by then died in between.
UNNAMED_SECONDS = 60.0
# After each batch it rests for as long as the batch took: live traffic has at least half of everything.
LEAST_REST_SECONDS = 0.01

# Delivers records of one kind, in order; raises NotYet while their place is away.
Deliver = Callable[[Sequence[bytes]], Awaitable[None]]


class NotYet(Exception):
    """Where the records belong cannot take them now; they stay in the spool."""


async def _nothing() -> None:
    """What most places need while nothing waits for them."""


class Drainer:
    """A Runner. `deliver` names what each kind of record is handed to.

    What it does with the disk it does in a thread: one that is slow, or hangs, holds up no request.

    `when_done` is awaited at each look that has brought on what it could: what is left then lies in files
    that others hold or that cannot be read, and says nothing of the place.
    """

    def __init__(
        self,
        spool: Spool,
        deliver: Mapping[str, Deliver],
        *,
        service: str,
        when_done: Callable[[], Awaitable[None]] = _nothing,
        look_seconds: float = LOOK_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._spool = spool
        self._deliver = deliver
        self._service = service
        self._when_done = when_done
        self._look_seconds = look_seconds
        self._monotonic = monotonic
        self._release_at = float("-inf")
        # Up to which byte each file has arrived or is held, for those that were left in the middle.
        self._reached: dict[Path, int] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Drain until `stop`; a fault of the disk or of ours is logged, and tried again.

        Nothing but `stop` ends it: what it does not bring on stays where it is.
        """
        while not stop.is_set():
            try:
                await self._tidy_if_due()
                await self.turn()
            except NotYet as away:
                log.info("spool_waits", place=self._place, reason=str(away))
            except Exception:
                log.exception("spool_not_drained", place=self._place)
            try:
                await _in_thread(self._show)
            except OSError as unseen:
                log.warning("spool_not_seen", place=self._place, error_type=type(unseen).__name__)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), self._look_seconds)

    async def turn(self) -> int:
        """Drain what can be drained; return how many records arrived. Raises NotYet."""
        # What is written at present comes last: while its place is away it stays one file, not one a second.
        arrived = await self._drain_all()
        if self._spool.is_writing:
            await self._spool.hand_over()
            arrived += await self._drain_all()
        await self._when_done()
        return arrived

    async def _tidy_if_due(self) -> None:
        if (now := self._monotonic()) >= self._release_at:
            # Set first: where this fails it costs the drain one look, and not each of them.
            self._release_at = now + RELEASE_SECONDS
            await _in_thread(_release_held, self._spool.directory)
            await _in_thread(forget_unnamed, self._spool.directory, time.time())

    async def _drain_all(self) -> int:
        arrived = 0
        paths = [path for _, path in await _in_thread(_files, self._spool.directory)]
        self._reached = {path: self._reached[path] for path in paths if path in self._reached}
        for path in paths:
            try:
                with ExitStack() as opened:
                    file = await _in_thread(_take, path, opened)
                    if file is not None:
                        arrived += await self._drain(path, file)
            except OSError as fault:
                # It stays, and costs the others nothing: each look tries it again.
                log.warning(
                    "spool_file_not_drained",
                    place=self._place,
                    file=path.name,
                    reason=fault.strerror or type(fault).__name__,
                )
        return arrived

    async def _drain(self, path: Path, file: BinaryIO) -> int:
        arrived = 0
        batches = _batches(file, self._reached.get(path, 0))
        while batch := await _in_thread(_next, batches):
            began = asyncio.get_running_loop().time()
            for kind, records in groupby(batch, key=lambda record: record[1].kind):
                arrived += await self._hand_on(path, kind, list(records))
            took = asyncio.get_running_loop().time() - began
            await asyncio.sleep(max(took, LEAST_REST_SECONDS))
        await _in_thread(self._finish, path, file)
        log.info("spool_drained", place=self._place, records=arrived)
        return arrived

    def _finish(self, path: Path, file: BinaryIO) -> None:
        """Delete a file of which all has arrived; set aside one with more in it that cannot be read.

        What can be read behind the damage goes on in a file of its own, made first: a crash in between
        repeats it.
        """
        reached = self._reached.get(path, 0)
        file.seek(reached)
        if is_torn_write(file.read()):
            _forget(path)
            return
        file.seek(reached)
        behind = [entry for _, entry in read_entries(file, past_damage=True)]
        if behind:
            _write_anew(self._spool.directory, behind, SUFFIX)
        kept = _set_aside(path)
        log.error(
            "spool_file_damaged", place=self._place, file=kept.name, offset=reached, records=len(behind)
        )

    async def _hand_on(self, path: Path, kind: str, records: Sequence[tuple[int, Entry]]) -> int:
        """Return how many arrived; those that are refused for good are held, and cost the others nothing."""
        ends, last = records[-1]
        try:
            await self._deliver[kind]([entry.payload for _, entry in records])
        except NotYet:
            raise
        except Exception:
            if len(records) > 1:
                return sum([await self._hand_on(path, kind, [record]) for record in records])
            log.exception("spool_holds_a_record", place=self._place, kind=kind)
            await _in_thread(_write_anew, self._spool.directory, [last], HELD_SUFFIX)
            self._reached[path] = ends
            return 0
        self._reached[path] = ends
        metrics.UNSPOOLED.labels(self._service, self._place).inc(len(records))
        return len(records)

    @property
    def _place(self) -> str:
        return self._spool.directory.name

    def _show(self) -> None:
        found = waiting(self._spool.directory)
        metrics.SPOOLED_BYTES.labels(self._service, self._place).set(found.bytes)
        metrics.SPOOL_HELD_BYTES.labels(self._service, self._place).set(found.held_bytes)
        metrics.SPOOL_TORN_BYTES.labels(self._service, self._place).set(found.torn_bytes)


async def _in_thread(work: Callable[..., ResultT], *arguments: object) -> ResultT:
    """Work on the disk. A stop waits for what is under way, so that it is done before a lock is given up."""
    working = asyncio.create_task(asyncio.to_thread(work, *arguments))
    # Where nobody waits any more, nobody has to hear of a fault.
    working.add_done_callback(lambda done: done.cancelled() or done.exception())
    try:
        await asyncio.wait([working])
    except asyncio.CancelledError:
        await asyncio.wait([working], timeout=WRITE_SECONDS)
        raise
    return working.result()


@dataclass(frozen=True, slots=True)
class Waiting:
    """What a spool holds: bytes on their way and for how long (seconds); bytes refused, and damaged."""

    bytes: int
    oldest_seconds: float
    held_bytes: int
    torn_bytes: int


def waiting(directory: Path) -> Waiting:
    """Return what waits under `directory`, whoever wrote it; nothing where there is no such folder."""
    found = _files(directory)
    oldest = time.time() - found[0][0] / 1e9 if found else 0.0
    return Waiting(
        bytes=size(directory),
        oldest_seconds=round(max(oldest, 0.0), 1),
        held_bytes=size(directory, HELD_SUFFIX),
        torn_bytes=size(directory, TORN_SUFFIX),
    )


def _forget(path: Path) -> None:
    path.unlink()
    sync_directory(path.parent)


def _set_aside(path: Path) -> Path:
    """Give the file, locked by us, a name by which nobody drains it; return it."""
    names = (path.with_name(f"{path.stem}{number or ''}{TORN_SUFFIX}") for number in count())
    kept = next(name for name in names if not name.exists())
    path.rename(kept)
    sync_directory(path.parent)
    return kept


def _write_anew(directory: Path, entries: Sequence[Entry], suffix: str) -> None:
    file = OpenFile(directory, suffix)
    try:
        file.write(b"".join(map(packed, entries)))
    finally:
        file.close()


def _release_held(directory: Path) -> None:
    """Let what was refused be tried again: a new release, or a mended installation, may take it."""
    for path in directory.glob(f"*{HELD_SUFFIX}"):
        with suppress(FileNotFoundError):
            path.rename(path.with_suffix(SUFFIX))


def forget_unnamed(directory: Path, now: float) -> None:
    """Delete files whose process died before it named them: nothing was written to them. `now`: by the files.

    One that is locked is about to be named. Should its process have stood still before it locked it, its
    write is refused for want of the file, and the next one makes another.
    """
    for path in directory.glob(f"*{NEW_SUFFIX}"):
        # Whatever is wrong with one of them, it is in nobody's way.
        with suppress(OSError), ExitStack() as opened:
            # Its age comes first: our lock on one that was just made would refuse its process' write.
            if now - path.stat().st_mtime > UNNAMED_SECONDS and _take(path, opened):
                path.unlink()


def _batches(file: BinaryIO, begins: int) -> Iterator[list[tuple[int, Entry]]]:
    """Yield (offset after the record, record) from byte `begins` on, some at a time."""
    file.seek(begins)
    batch: list[tuple[int, Entry]] = []
    for ends, entry in read_entries(file):
        batch.append((ends, entry))
        if len(batch) == BATCH or ends - begins >= BATCH_BYTES:
            yield batch
            batch, begins = [], ends
    if batch:
        yield batch


def _next(batches: Iterator[list[tuple[int, Entry]]]) -> list[tuple[int, Entry]] | None:
    return next(batches, None)


def _files(directory: Path) -> list[tuple[int, Path]]:
    """Return when each spool file was last written to (ns), and the file, the oldest first.

    Names say nothing, times are close enough. Others drain too: a file may be gone by the time it is used.
    """
    found = []
    for path in directory.glob(f"*{SUFFIX}"):
        with suppress(FileNotFoundError):
            found.append((path.stat().st_mtime_ns, path))
    return sorted(found)


def _take(path: Path, opened: ExitStack) -> BinaryIO | None:
    """Return the file, locked for us until `opened` ends; None where another one has it, or it is gone."""
    try:
        file = opened.enter_context(path.open("rb"))
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (FileNotFoundError, BlockingIOError):
        return None
    # Another one may have drained it between our opening and our lock.
    return file if path.exists() else None
