"""Writes records durably: fsynced before the answer, several callers to one fsync, nothing half-written."""

import asyncio
import errno
import fcntl
import os
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import structlog

from shared.spool.frames import HEADER, LARGEST, Entry, packed

log = structlog.get_logger()

SUFFIX = ".spool"
# What a file is called until it is locked.
NEW_SUFFIX = ".new"
# A file is read again from its beginning after a crash in the middle of draining; small ones repeat little.
LARGEST_FILE = 16 * 1024 * 1024
# The promise is an answer within 5 s, also of a disk that hangs, and the bus was waited for before.
WRITE_SECONDS = 2.5
MOST_BYTES = 1024 * 1024 * 1024
FULL = (errno.ENOSPC, errno.EDQUOT)


class SpoolUnavailable(Exception):
    """The disk does not take the record (full, read-only, hanging): its sender has to be told so.

    A write that failed is cut off again, and nothing of it is kept. One that took too long goes on behind the
    answer: its record may be kept, and arrive though the sender heard 503, as after an answer that was lost.
    """


@dataclass(frozen=True, slots=True, eq=False)
class Waiting:
    """One caller's records as bytes, and the future it waits for."""

    data: bytes
    done: "asyncio.Future[None]"


class OpenFile:
    """A spool file of this process: locked for as long as it lives, so that nobody drains it meanwhile."""

    def __init__(self, directory: Path, suffix: str = SUFFIX) -> None:
        self.path = directory / f"{uuid.uuid4().hex}{suffix}"
        self.size = 0
        new = self.path.with_suffix(NEW_SUFFIX)
        self._descriptor = os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND, 0o600)
        try:
            # Locked before it has the name by which others take it.
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            new.rename(self.path)
            sync_directory(directory)
        except OSError:
            self.close()
            for path in (new, self.path):
                path.unlink(missing_ok=True)
            raise

    def write(self, data: bytes) -> None:
        """Write and fsync; where that fails, cut off what was written of it and raise the OSError."""
        try:
            written = 0
            while written < len(data):
                written += os.write(self._descriptor, data[written:])
            os.fdatasync(self._descriptor)
        except OSError:
            os.ftruncate(self._descriptor, self.size)
            raise
        self.size += len(data)

    def close(self) -> None:
        """Give the lock up: whoever drains may take the file. One that took nothing is deleted.

        A full disk refuses each write in a file of its own; while their place is away nobody comes to them.
        """
        if not self.size:
            with suppress(OSError):
                self.path.unlink()
        os.close(self._descriptor)


def sync_directory(directory: Path) -> None:
    """Make the names in `directory` durable."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def size(directory: Path, suffix: str = SUFFIX) -> int:
    """Return how many bytes wait under `directory`."""
    total = 0
    for path in directory.glob(f"*{suffix}"):
        with suppress(FileNotFoundError):
            total += path.stat().st_size
    return total


class Spool:
    """Appends to a file of its own under `directory`; concurrent appends share a write and its fsync.

    No append makes the folder, all processes together, larger than `most_bytes`.
    """

    def __init__(self, directory: Path, *, most_bytes: int = MOST_BYTES) -> None:
        self.directory = directory
        self._most_bytes = most_bytes
        self._file: OpenFile | None = None
        self._waiting: list[Waiting] = []
        self._writer: asyncio.Task[None] | None = None
        # One thread: writes stay in order, and a disk that hangs holds up no other work of the process.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="spool")

    async def append(self, entries: Sequence[Entry]) -> None:
        """Return once the records are on disk; raise SpoolUnavailable, also for a record beyond LARGEST."""
        mine = Waiting(b"".join(map(_framed, entries)), asyncio.get_running_loop().create_future())
        self._waiting.append(mine)
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write_all())
        try:
            async with asyncio.timeout(WRITE_SECONDS):
                await mine.done
        except TimeoutError as late:
            raise SpoolUnavailable("the disk took too long") from late
        finally:
            with suppress(ValueError):
                self._waiting.remove(mine)

    @property
    def is_writing(self) -> bool:
        """Whether this process has a file open, that nobody else can drain."""
        return self._file is not None

    async def hand_over(self) -> None:
        """Close the present file, so that it can be drained; the next append begins another."""
        await self._in_thread(self._close_file)

    async def close(self) -> None:
        """Finish the write under way and close the file; what it holds is drained later, by anybody."""
        if self._writer is not None:
            await asyncio.wait([self._writer], timeout=WRITE_SECONDS)
        self._thread.submit(self._close_file)
        self._thread.shutdown(wait=False)

    async def _write_all(self) -> None:
        while batch := self._waiting:
            self._waiting = []
            try:
                await self._in_thread(self._write, b"".join(waiting.data for waiting in batch))
            except OSError as fault:
                log.warning("spool_cannot_write", reason=fault.strerror or type(fault).__name__)
                refused = SpoolUnavailable(fault.strerror or "the disk refused")
                _settle(batch, refused)
            else:
                _settle(batch, None)

    def _write(self, data: bytes) -> None:
        if self._file is None:
            self.directory.mkdir(parents=True, exist_ok=True)
            self._file = OpenFile(self.directory)
        if size(self.directory) + len(data) > self._most_bytes:
            raise OSError(errno.EDQUOT, "the spool has grown to its limit")
        try:
            self._file.write(data)
        except OSError:
            # Whatever is wrong with this file, what it held before stays good and can be drained.
            self._close_file()
            raise
        if self._file.size >= LARGEST_FILE:
            self._close_file()

    def _close_file(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            file.close()

    async def _in_thread(self, work: Callable[..., None], *arguments: bytes) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)


@asynccontextmanager
async def open_spool(directory: Path, *, most_bytes: int = MOST_BYTES) -> AsyncIterator[Spool]:
    """Open the spool of a folder; raise RuntimeError where nothing can be kept there, before it is needed."""
    try:
        _try_out(directory)
    except OSError as fault:
        raise RuntimeError(
            f"cannot spool to {directory} ({fault.strerror}): mount a volume that can be written to, name"
            " another by LEADLINE_DATA_DIR, or do without: LEADLINE_SPOOL=off"
        ) from fault
    spool = Spool(directory, most_bytes=most_bytes)
    try:
        yield spool
    finally:
        await spool.close()


def _try_out(directory: Path) -> None:
    """Make, lock and delete a file; raise OSError where that cannot be done, but for want of room.

    A disk that is full now may have room when it is needed, and until then there is nothing to keep.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        file = OpenFile(directory, NEW_SUFFIX)
        try:
            file.path.unlink()
        finally:
            file.close()
    except OSError as fault:
        if fault.errno not in FULL:
            raise
        log.warning("spool_cannot_write", reason=fault.strerror)


def _framed(entry: Entry) -> bytes:
    frame = packed(entry)
    if len(frame) - HEADER.size > LARGEST:
        # Whoever reads it back would take it for damage. Where it belongs it may still be taken, later.
        raise SpoolUnavailable(f"a record of {len(frame)} bytes is more than the spool takes, {LARGEST}")
    return frame


def _settle(batch: Sequence[Waiting], fault: SpoolUnavailable | None) -> None:
    for waiting in batch:
        if not waiting.done.done():
            if fault is None:
                waiting.done.set_result(None)
            else:
                waiting.done.set_exception(fault)
