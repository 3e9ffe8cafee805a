"""The spool on a real file system: nothing acknowledged is lost, nothing torn is read."""

import asyncio
import errno
import fcntl
import io
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.spool import drain, frames
from shared.spool import spool as spool_module
from shared.spool.drain import Drainer, NotYet, waiting
from shared.spool.frames import HEADER, Entry, is_torn_write, packed, read_entries
from shared.spool.spool import OpenFile, Spool, SpoolUnavailable, open_spool, size
from tests.support.eventually import eventually

ENTRIES = st.lists(
    st.builds(Entry, st.sampled_from(["activity", "form", ""]), st.binary(max_size=60)), max_size=6
)


class Place:
    """Where records belong: away as long as it is told so; it may also fail after some have arrived."""

    def __init__(self) -> None:
        self.arrived: list[bytes] = []
        self.away = False

    async def __call__(self, records: Sequence[bytes]) -> None:
        if self.away:
            raise NotYet
        self.arrived += records


def a_drainer(spool: Spool, place: Place) -> Drainer:
    return Drainer(spool, {"x": place}, service="test", look_seconds=0.01)


def files(directory: Path) -> int:
    return len(list(directory.iterdir()))


def put(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def only_file(directory: Path) -> Path:
    (found,) = directory.iterdir()
    return found


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def fail(patched: pytest.MonkeyPatch, call: str, fault: int) -> None:
    """Let no file be made, or none be locked."""
    ours = getattr(os if call == "os.open" else fcntl, call.rpartition(".")[2])

    def refusing(one: Any, flags: int, *mode: int) -> Any:
        if call == "fcntl.flock" or flags & os.O_CREAT:
            raise OSError(fault, os.strerror(fault))
        return ours(one, flags, *mode)

    patched.setattr(f"shared.spool.spool.{call}", refusing)


def refuse(patched: pytest.MonkeyPatch, where: str, bad: Path) -> None:
    """Let a file be neither opened nor locked."""
    if where == "open":
        opened = Path.open

        def opening(path: Path, *arguments: Any) -> Any:
            if path == bad:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return opened(path, *arguments)

        patched.setattr(Path, "open", opening)
    else:
        lock = fcntl.flock

        def locking(file: Any, operation: int) -> None:
            if getattr(file, "name", None) == str(bad):
                raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))
            lock(file, operation)

        patched.setattr(fcntl, "flock", locking)


def after_the_last_whole(written: bytes) -> bytes:
    ends = [end for end, _ in read_entries(io.BytesIO(written))]
    return written[max(ends, default=0) :]


def numbered(count: int) -> list[Entry]:
    return [Entry("x", str(number).encode()) for number in range(count)]


@given(ENTRIES, st.data())
def test_what_is_whole_is_read_and_what_is_torn_is_not(entries: list[Entry], data: st.DataObject) -> None:
    frames = [packed(entry) for entry in entries]
    whole = b"".join(frames)
    cut = data.draw(st.integers(0, len(whole)))
    ends = [sum(map(len, frames[: number + 1])) for number in range(len(frames))]
    found = list(read_entries(io.BytesIO(whole[:cut])))
    assert found == [(end, entry) for end, entry in zip(ends, entries, strict=True) if end <= cut]


@given(ENTRIES, st.data())
def test_a_record_with_a_wrong_bit_is_never_taken_for_a_right_one(
    entries: list[Entry], data: st.DataObject
) -> None:
    whole = bytearray(b"".join(map(packed, entries)))
    if whole:
        at = data.draw(st.integers(0, len(whole) - 1))
        whole[at] ^= 1 << data.draw(st.integers(0, 7))
    found = [entry for _, entry in read_entries(io.BytesIO(bytes(whole)))]
    assert found == entries[: len(found)]


def test_a_payload_with_a_wrong_bit_is_not_read() -> None:
    written = bytearray(packed(Entry("x", b"right")))
    written[-1] ^= 1
    assert list(read_entries(io.BytesIO(bytes(written)))) == []


@given(st.lists(st.binary(max_size=60), min_size=1, max_size=6), st.data())
def test_a_crash_during_a_write_leaves_nothing_to_keep(payloads: list[bytes], data: st.DataObject) -> None:
    written = b"".join(packed(Entry("x", payload)) for payload in payloads)
    cut = data.draw(st.integers(0, len(written)))
    assert is_torn_write(after_the_last_whole(written[:cut]))
    assert is_torn_write(after_the_last_whole(written + bytes(cut)))


@given(st.lists(st.binary(max_size=60), min_size=2, max_size=6), st.data())
def test_damage_before_another_record_is_no_torn_write(payloads: list[bytes], data: st.DataObject) -> None:
    records = [packed(Entry("x", payload)) for payload in payloads]
    written = bytearray(b"".join(records))
    at = data.draw(st.integers(0, len(written) - len(records[-1]) - 1))
    written[at] ^= 1 << data.draw(st.integers(0, 7))
    assert not is_torn_write(after_the_last_whole(bytes(written)))


def test_damage_at_the_end_is_kept_where_it_may_have_been_acknowledged() -> None:
    written = bytearray(packed(Entry("x", b"acknowledged")))
    written[-1] ^= 1
    assert not is_torn_write(bytes(written))


def test_where_it_takes_too_long_to_tell_all_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    torn = packed(Entry("x", HEADER.pack(5, 0) * 100))[:-1]
    assert is_torn_write(torn)
    monkeypatch.setattr(frames, "_MOST_SEARCHED", 100)
    assert not is_torn_write(torn)


async def test_what_is_spooled_arrives_in_order_and_leaves_nothing_behind(tmp_path: Path) -> None:
    spool, place = Spool(tmp_path), Place()
    for entry in numbered(500):
        await spool.append([entry])
    assert await a_drainer(spool, place).turn() == 500
    assert place.arrived == [entry.payload for entry in numbered(500)]
    assert size(tmp_path) == 0
    await spool.close()


async def test_callers_at_once_are_all_kept(tmp_path: Path) -> None:
    spool, place = Spool(tmp_path), Place()
    await asyncio.gather(*(spool.append([entry]) for entry in numbered(200)))
    await a_drainer(spool, place).turn()
    assert sorted(place.arrived) == sorted(entry.payload for entry in numbered(200))
    await spool.close()


async def test_what_cannot_arrive_yet_stays(tmp_path: Path) -> None:
    spool, place = Spool(tmp_path), Place()
    await spool.append(numbered(3))
    place.away = True
    with pytest.raises(NotYet):
        await a_drainer(spool, place).turn()
    place.away = False
    await spool.append([Entry("x", b"later")])
    await a_drainer(spool, place).turn()
    assert sorted(place.arrived) == [b"0", b"1", b"2", b"later"]
    await spool.close()


async def test_a_file_that_its_writer_still_holds_is_left_alone(tmp_path: Path) -> None:
    writer, other, place = Spool(tmp_path), Spool(tmp_path), Place()
    await writer.append(numbered(2))
    assert await a_drainer(other, place).turn() == 0
    await writer.close()
    await asyncio.to_thread(writer._thread.shutdown)
    assert await a_drainer(other, place).turn() == 2


async def test_a_full_disk_refuses_and_keeps_nothing_of_what_it_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool, place = Spool(tmp_path), Place()
    await spool.append([Entry("x", b"before")])
    write, room = os.write, [10]

    def full(descriptor: int, data: bytes) -> int:
        if not room[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        room[0] -= (written := write(descriptor, data[: room[0]]))
        return written

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        with pytest.raises(SpoolUnavailable, match="No space left"):
            await spool.append([Entry("x", b"refused")])
    await spool.append([Entry("x", b"after")])
    await a_drainer(spool, place).turn()
    assert sorted(place.arrived) == [b"after", b"before"]
    await spool.close()


def no_room(patched: pytest.MonkeyPatch) -> None:
    """Let files be made, and nothing be written to them."""

    def full(descriptor: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    patched.setattr(os, "write", full)


async def test_a_disk_that_stays_full_does_not_fill_with_empty_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool, place = Spool(tmp_path), Place()
    with monkeypatch.context() as patched:
        no_room(patched)
        for _ in range(3):
            with pytest.raises(SpoolUnavailable, match="No space left"):
                await spool.append(numbered(1))
    assert contents(tmp_path) == {}
    await spool.append(numbered(1))
    assert await a_drainer(spool, place).turn() == 1
    await spool.close()


async def test_a_record_that_a_full_disk_cannot_hold_stays_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool, refused = Spool(tmp_path), packed(Entry("of a later release", b"?"))
    await spool.append([Entry("of a later release", b"?")])
    drainer = a_drainer(spool, Place())
    with monkeypatch.context() as patched:
        no_room(patched)
        for _ in range(3):
            assert await drainer.turn() == 0
    assert list(contents(tmp_path).values()) == [refused]
    assert await drainer.turn() == 0
    assert waiting(tmp_path).held_bytes == len(refused)
    assert waiting(tmp_path).bytes == 0
    await spool.close()


async def test_a_write_that_takes_too_long_is_refused_and_may_be_kept_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool, place, goes_on, sync = Spool(tmp_path), Place(), threading.Event(), os.fdatasync

    def hangs(descriptor: int) -> None:
        goes_on.wait(10)
        sync(descriptor)

    monkeypatch.setattr(os, "fdatasync", hangs)
    monkeypatch.setattr(spool_module, "WRITE_SECONDS", 0.01)
    with pytest.raises(SpoolUnavailable, match="took too long"):
        await spool.append(numbered(1))
    goes_on.set()
    await eventually(lambda: waiting(tmp_path).bytes > 0, what="the write that went on")
    await a_drainer(spool, place).turn()
    assert place.arrived == [b"0"]
    await spool.close()


async def test_nothing_is_acknowledged_before_it_is_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool, synced = Spool(tmp_path), list[int]()
    sync = os.fdatasync

    def noted(descriptor: int) -> None:
        sync(descriptor)
        synced.append(os.fstat(descriptor).st_size)

    monkeypatch.setattr(os, "fdatasync", noted)
    for number, entry in enumerate(numbered(5), start=1):
        await spool.append([entry])
        assert synced[-1:] == [number * len(packed(entry))]
    await spool.close()


WRITER = """
import asyncio, sys
from pathlib import Path
from shared.spool.frames import Entry
from shared.spool.spool import Spool

async def main() -> None:
    spool = Spool(Path(sys.argv[1]))
    for number in range(100_000):
        await spool.append([Entry("x", str(number).encode())])
        print(number, flush=True)

asyncio.run(main())
"""


def acknowledged_by_a_writer_that_is_killed(directory: Path) -> int:
    """Return the number of the last record that was acknowledged; all before it were, too."""
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(directory)], stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    with writer.stdout as told:
        for line in told:
            if int(line) == 200:
                writer.kill()
                break
        acknowledged = 200 + len(told.readlines())
    writer.wait(10)
    return acknowledged


async def test_whatever_was_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    last = await asyncio.to_thread(acknowledged_by_a_writer_that_is_killed, tmp_path)
    spool, place = Spool(tmp_path), Place()
    await a_drainer(spool, place).turn()
    assert [int(record) for record in place.arrived][: last + 1] == list(range(last + 1))
    await spool.close()


async def test_a_torn_tail_costs_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    file = OpenFile(tmp_path)
    file.write(packed(Entry("x", b"whole")) + packed(Entry("x", b"torn"))[:-2])
    file.close()
    spool, place = Spool(tmp_path), Place()
    assert await a_drainer(spool, place).turn() == 1
    assert place.arrived == [b"whole"]
    assert size(tmp_path) == 0


async def test_a_damaged_file_is_set_aside_and_not_deleted(tmp_path: Path) -> None:
    name, damaged = a_file_with_a_damaged_record(tmp_path, numbered(3), at=HEADER.size)
    put(tmp_path / f"{name}.torn", b"of an earlier time")
    spool, place = Spool(tmp_path), Place()
    drainer = a_drainer(spool, place)
    assert await drainer.turn() == 1
    assert await drainer.turn() == 1
    assert place.arrived == [b"0", b"2"]
    kept = {f"{name}.torn": b"of an earlier time", f"{name}1.torn": damaged}
    assert contents(tmp_path) == kept
    assert waiting(tmp_path).bytes == 0
    assert waiting(tmp_path).torn_bytes == len(damaged) + len(b"of an earlier time")
    assert await drainer.turn() == 0
    await spool.close()


async def test_what_looks_like_a_record_within_a_damaged_one_is_none(tmp_path: Path) -> None:
    forged = packed(Entry("x", b"forged"))
    name, damaged = a_file_with_a_damaged_record(tmp_path, [Entry("x", b"first"), Entry("x", forged)], at=0)
    spool, place = Spool(tmp_path), Place()
    drainer = a_drainer(spool, place)
    assert [await drainer.turn(), await drainer.turn()] == [1, 0]
    assert place.arrived == [b"first"]
    assert contents(tmp_path) == {f"{name}.torn": damaged}
    await spool.close()


def a_file_with_a_damaged_record(directory: Path, entries: Sequence[Entry], *, at: int) -> tuple[str, bytes]:
    """Return the stem and the bytes of a file in which byte `at` of the second record is wrong."""
    data = bytearray(b"".join(map(packed, entries)))
    data[len(packed(entries[0])) + at] ^= 1
    file = OpenFile(directory)
    file.write(bytes(data))
    file.close()
    return file.path.stem, bytes(data)


async def test_a_record_that_would_be_taken_for_damage_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (frames, spool_module):
        monkeypatch.setattr(module, "LARGEST", 100)
    largest, spool, place = Entry("x", bytes(98)), Spool(tmp_path), Place()
    with pytest.raises(SpoolUnavailable, match="more than the spool takes"):
        await spool.append([*numbered(1), Entry("x", bytes(99))])
    await spool.append([largest])
    assert await a_drainer(spool, place).turn() == 1
    assert place.arrived == [largest.payload]
    await spool.close()


async def test_it_drains_by_itself_once_the_place_is_back(tmp_path: Path) -> None:
    spool, place, stop = Spool(tmp_path), Place(), asyncio.Event()
    place.away = True
    running = asyncio.create_task(a_drainer(spool, place).run(stop))
    await spool.append(numbered(3))
    place.away = False
    await eventually(lambda: len(place.arrived) == 3, what="all three")
    stop.set()
    await running
    await spool.close()


async def test_while_the_place_is_away_there_is_one_file_and_not_one_a_look(tmp_path: Path) -> None:
    spool, place = Spool(tmp_path), Place()
    place.away = True
    for number in range(6):
        await spool.append([Entry("x", str(number).encode())])
        with pytest.raises(NotYet):
            await a_drainer(spool, place).turn()
    assert files(tmp_path) == 2
    place.away = False
    assert await a_drainer(spool, place).turn() == 6
    assert place.arrived == [str(number).encode() for number in range(6)]
    await spool.close()


async def test_nobody_can_take_a_file_between_its_making_and_its_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    lock = fcntl.flock

    def look_first(descriptor: int, operation: int) -> None:
        seen.extend(path.name for path in tmp_path.glob("*.spool"))
        lock(descriptor, operation)

    monkeypatch.setattr("shared.spool.spool.fcntl.flock", look_first)
    spool = Spool(tmp_path)
    await spool.append(numbered(1))
    assert seen == []
    await spool.close()


async def test_a_file_that_another_process_drains_meanwhile_is_no_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        put(tmp_path / f"{number}.spool", b"")
    look = drain._files

    def one_is_gone_afterwards(directory: Path) -> Any:
        found = look(directory)
        next(iter(directory.glob("*.spool"))).unlink()
        return found

    monkeypatch.setattr(drain, "_files", one_is_gone_afterwards)
    assert waiting(tmp_path).oldest_seconds >= 0
    assert files(tmp_path) == 2


async def test_a_drainer_that_cannot_look_goes_on_looking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, spool, looks = Place(), Spool(tmp_path), list[int]()
    await spool.append(numbered(2))

    def refuse(directory: Path) -> Any:
        looks.append(1)
        raise PermissionError(errno.EACCES, "for a moment")

    monkeypatch.setattr(drain, "waiting", refuse)
    stop = asyncio.Event()
    running = asyncio.create_task(a_drainer(spool, place).run(stop))
    await eventually(lambda: len(looks) > 2 and len(place.arrived) == 2, what="all, and looks afterwards")
    stop.set()
    await running
    await spool.close()


async def test_what_is_refused_for_good_is_held_and_costs_the_others_nothing(tmp_path: Path) -> None:
    spool, place = Spool(tmp_path), Place()

    async def choosy(records: Sequence[bytes]) -> None:
        if b"3" in records:
            raise KeyError("a bug")
        await place(records)

    await spool.append([*numbered(6), Entry("of a later release", b"?")])
    assert await Drainer(spool, {"x": choosy}, service="test").turn() == 5
    assert place.arrived == [b"0", b"1", b"2", b"4", b"5"]
    held = waiting(tmp_path)
    assert held.bytes == 0
    assert held.held_bytes == len(packed(Entry("x", b"3"))) + len(packed(Entry("of a later release", b"?")))

    stop = asyncio.Event()
    running = asyncio.create_task(
        Drainer(spool, {"x": place, "of a later release": place}, service="test", look_seconds=0.01).run(stop)
    )
    await eventually(lambda: len(place.arrived) == 7, what="what the release before has refused")
    stop.set()
    await running
    assert waiting(tmp_path).held_bytes == 0
    await spool.close()


async def test_a_file_is_gone_on_with_where_it_was_left(tmp_path: Path) -> None:
    spool, place, away = Spool(tmp_path), Place(), {b"3"}

    async def choosy(records: Sequence[bytes]) -> None:
        if b"1" in records:
            raise KeyError("a bug")
        if away.intersection(records):
            raise NotYet
        await place(records)

    await spool.append([*numbered(5), Entry("other", b"of another kind")])
    drainer = Drainer(spool, {"x": choosy, "other": choosy}, service="test")
    for _ in range(3):
        with pytest.raises(NotYet):
            await drainer.turn()
    held = waiting(tmp_path).held_bytes
    away.clear()
    assert await drainer.turn() == 3
    assert place.arrived == [b"0", b"2", b"3", b"4", b"of another kind"]
    assert held == waiting(tmp_path).held_bytes == len(packed(Entry("x", b"1")))
    assert waiting(tmp_path).bytes == 0
    await drainer.turn()
    assert drainer._reached == {}, "nothing is remembered of files that are gone"
    await spool.close()


def unnamed(directory: Path, name: str, *, at: float) -> Path:
    path = directory / f"{name}.new"
    path.touch()
    os.utime(path, (at, at))
    return path


def test_files_of_processes_that_died_before_naming_them_are_deleted(tmp_path: Path) -> None:
    unnamed(tmp_path, "orphan", at=0.0)
    unnamed(tmp_path, "just made", at=100.0)
    with unnamed(tmp_path, "held by its process", at=0.0).open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        drain.forget_unnamed(tmp_path, 159.0)
        assert contents(tmp_path).keys() == {"just made.new", "held by its process.new"}
        drain.forget_unnamed(tmp_path, 161.0)
        assert contents(tmp_path).keys() == {"held by its process.new"}


def test_a_file_that_its_process_is_about_to_lock_is_not_locked_by_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, locked = fcntl.flock, list[str]()

    def noted(file: Any, operation: int) -> None:
        locked.append(Path(file.name).name)
        lock(file, operation)

    unnamed(tmp_path, "orphan", at=0.0)
    unnamed(tmp_path, "just made", at=100.0)
    monkeypatch.setattr(fcntl, "flock", noted)
    drain.forget_unnamed(tmp_path, 101.0)
    assert locked == ["orphan.new"]


async def test_a_drainer_tidies_up_after_processes_that_died(tmp_path: Path) -> None:
    unnamed(tmp_path, "orphan", at=0.0)
    spool, stop = Spool(tmp_path), asyncio.Event()
    running = asyncio.create_task(a_drainer(spool, Place()).run(stop))
    await eventually(lambda: files(tmp_path) == 0, what="an empty folder")
    stop.set()
    await running
    await spool.close()


async def test_held_records_that_cannot_be_released_hold_up_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool, place, stop = Spool(tmp_path), Place(), asyncio.Event()

    def refuse(directory: Path) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(drain, "_release_held", refuse)
    await spool.append(numbered(2))
    running = asyncio.create_task(a_drainer(spool, place).run(stop))
    await eventually(lambda: len(place.arrived) == 2, timeout_seconds=2, what="what waited")
    stop.set()
    await running
    await spool.close()


async def test_what_was_refused_is_tried_again_each_hour(tmp_path: Path) -> None:
    spool, place, stop, now = Spool(tmp_path), Place(), asyncio.Event(), [0.0]
    refuses, tried = [True], list[float]()

    async def choosy(records: Sequence[bytes]) -> None:
        tried.append(now[0])
        if refuses[0]:
            raise KeyError("a bug")
        await place(records)

    drainer = Drainer(spool, {"x": choosy}, service="test", look_seconds=0.001, monotonic=lambda: now[0])
    running = asyncio.create_task(drainer.run(stop))
    await spool.append(numbered(1))
    await eventually(lambda: waiting(tmp_path).held_bytes > 0, what="a held record")
    now[0], refuses[0] = drain.RELEASE_SECONDS - 1, False
    await spool.append([Entry("x", b"later")])
    await eventually(lambda: place.arrived == [b"later"], what="looks that release nothing")
    assert waiting(tmp_path).held_bytes > 0
    now[0] = drain.RELEASE_SECONDS
    await eventually(lambda: place.arrived == [b"later", b"0"], what="what was held")
    assert tried == [0.0, drain.RELEASE_SECONDS - 1, drain.RELEASE_SECONDS]
    stop.set()
    await running
    await spool.close()


async def test_a_disk_that_hangs_while_it_drains_holds_up_nobody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool, place, goes_on, hanging = Spool(tmp_path), Place(), threading.Event(), threading.Event()
    loop, on_the_loop = threading.get_ident(), list[str]()

    def slowly(name: str) -> None:
        ours = getattr(drain, name)

        def slow(*arguments: Any) -> Any:
            if threading.get_ident() == loop:
                on_the_loop.append(name)
            hanging.set()
            goes_on.wait(10)
            return ours(*arguments)

        monkeypatch.setattr(drain, name, slow)

    for name in (
        "_files", "_take", "read_entries", "is_torn_write", "_forget", "_write_anew", "_release_held",
        "forget_unnamed", "waiting",
    ):  # fmt: skip
        slowly(name)
    await spool.append([*numbered(2), Entry("unknown", b"?")])
    stop = asyncio.Event()
    running = asyncio.create_task(a_drainer(spool, place).run(stop))
    await eventually(hanging.is_set, what="a drainer that waits for its disk, and a loop that goes on")
    goes_on.set()
    await eventually(
        lambda: size(tmp_path) == 0 and size(tmp_path, ".held") > 0, what="all of it arrived or held"
    )
    stop.set()
    await running
    assert on_the_loop == []
    await spool.close()


async def test_a_stop_waits_for_what_is_done_to_the_disk_and_gives_the_file_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool, place, goes_on, hanging = Spool(tmp_path), Place(), threading.Event(), threading.Event()
    forget = drain._forget

    def slow(path: Path) -> None:
        hanging.set()
        goes_on.wait(10)
        forget(path)

    await spool.append(numbered(2))
    monkeypatch.setattr(drain, "_forget", slow)
    running = asyncio.create_task(a_drainer(spool, place).turn())
    await eventually(hanging.is_set, what="a file about to be deleted")
    running.cancel()
    await asyncio.wait([running], timeout=0.05)
    assert not running.done()
    with only_file(tmp_path).open() as same, pytest.raises(BlockingIOError):
        fcntl.flock(same, fcntl.LOCK_EX | fcntl.LOCK_NB)
    goes_on.set()
    await asyncio.wait([running])
    assert running.cancelled()
    assert files(tmp_path) == 0
    await spool.close()


async def test_a_spool_has_a_largest_size_for_all_its_processes(tmp_path: Path) -> None:
    one, other = Spool(tmp_path, most_bytes=1000), Spool(tmp_path, most_bytes=1000)
    await one.append([Entry("x", bytes(500))])
    with pytest.raises(SpoolUnavailable, match="limit"):
        await other.append([Entry("x", bytes(500))])
    await other.append([Entry("x", bytes(100))])
    await one.close()
    await other.close()


async def test_large_records_are_drained_in_small_batches(tmp_path: Path) -> None:
    spool, sizes = Spool(tmp_path), list[int]()

    async def deliver(records: Sequence[bytes]) -> None:
        sizes.append(sum(map(len, records)))

    await spool.append([Entry("x", bytes(400_000))] * 7)
    await Drainer(spool, {"x": deliver}, service="test").turn()
    assert sum(sizes) == 7 * 400_000
    assert max(sizes) < 1_500_000
    await spool.close()


async def test_with_nothing_left_to_drain_it_looks_whether_the_place_is_back(tmp_path: Path) -> None:
    spool, place, looks = Spool(tmp_path), Place(), list[int]()

    async def look() -> None:
        looks.append(len(place.arrived))

    drainer = Drainer(spool, {"x": place}, service="test", when_done=look)
    await drainer.turn()
    await spool.append(numbered(1))
    place.away = True
    with pytest.raises(NotYet):
        await drainer.turn()
    place.away = False
    await drainer.turn()
    assert looks == [0, 1]
    await spool.close()


@pytest.mark.parametrize("where", ["open", "flock"])
async def test_a_file_that_cannot_be_read_costs_the_others_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    spool, place, looks = Spool(tmp_path), Place(), list[int]()

    async def look() -> None:
        looks.append(len(place.arrived))

    bad = OpenFile(tmp_path)
    bad.write(packed(Entry("x", b"behind a bad sector")))
    bad.close()
    await spool.append(numbered(2))
    drainer = Drainer(spool, {"x": place}, service="test", when_done=look)
    with monkeypatch.context() as patched:
        refuse(patched, where, bad.path)
        assert await drainer.turn() == 2
    assert looks == [2], "whether the place is back is asked though a file stays"
    assert contents(tmp_path).keys() == {bad.path.name}
    assert await drainer.turn() == 1
    assert place.arrived == [b"0", b"1", b"behind a bad sector"]
    await spool.close()


async def test_a_place_that_is_away_is_no_fault_of_the_file(tmp_path: Path) -> None:
    spool, looks = Spool(tmp_path), list[int]()

    async def away(records: Sequence[bytes]) -> None:
        raise NotYet from ConnectionError("refused")

    async def look() -> None:
        looks.append(1)

    await spool.append(numbered(2))
    with pytest.raises(NotYet):
        await Drainer(spool, {"x": away}, service="test", when_done=look).turn()
    assert looks == []
    await spool.close()


async def test_a_folder_that_cannot_be_written_to_is_refused_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RuntimeError, match="LEADLINE_SPOOL=off"):
        async with open_spool(tmp_path / "file"):
            pass


@pytest.mark.parametrize(
    ("call", "fault"),
    [("os.open", errno.EROFS), ("os.open", errno.EACCES), ("fcntl.flock", errno.ENOLCK)],
)
async def test_a_folder_in_which_nothing_can_be_kept_is_refused_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, fault: int
) -> None:
    fail(monkeypatch, call, fault)
    with pytest.raises(RuntimeError, match=f"cannot spool to {tmp_path} .*LEADLINE_DATA_DIR"):
        async with open_spool(tmp_path):
            pass
    assert files(tmp_path) == 0


async def test_a_folder_in_which_nothing_can_be_deleted_is_refused_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kept(path: Path, missing_ok: bool = False) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(Path, "unlink", kept)
    with pytest.raises(RuntimeError, match="Operation not permitted"):
        async with open_spool(tmp_path):
            pass


async def test_a_start_on_a_full_disk_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = Place()
    with monkeypatch.context() as patched:
        fail(patched, "os.open", errno.ENOSPC)
        async with open_spool(tmp_path / "new") as spool:
            with pytest.raises(SpoolUnavailable, match="No space left"):
                await spool.append(numbered(1))
            patched.undo()
            await spool.append(numbered(2))
            assert files(tmp_path / "new") == 1
            assert await a_drainer(spool, place).turn() == 2
