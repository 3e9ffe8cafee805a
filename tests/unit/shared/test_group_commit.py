"""Group commit: callers share a send, hear their own end, and never wait longer than the bound."""

import asyncio
from collections.abc import Sequence

import pytest

from shared.bus.group_commit import CROWD, MAX_MESSAGES, GroupCommit
from shared.bus.port import BusUnavailable, Outgoing


def message(text: str) -> Outgoing:
    return Outgoing("t", "k", (), text.encode())


class Sends:
    """Records what was sent together; waits at `gate`, fails while `broken`."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.broken = False

    async def __call__(self, messages: Sequence[Outgoing]) -> None:
        self.batches.append([message.value.decode() for message in messages])
        await self.gate.wait()
        if self.broken:
            raise BusUnavailable("told to")


async def test_those_who_come_during_a_send_go_together_in_the_next() -> None:
    sends = Sends()
    sends.gate.clear()
    group = GroupCommit(sends, seconds=5)
    first = asyncio.create_task(group.append([message("a")]))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    rest = [asyncio.create_task(group.append([message(text), message(text * 2)])) for text in "bcd"]
    await asyncio.sleep(0)
    sends.gate.set()
    await asyncio.gather(first, *rest)
    assert sends.batches == [["a"], ["b", "bb", "c", "cc", "d", "dd"]]


async def test_a_send_takes_no_more_than_its_limit_but_always_something() -> None:
    sends = Sends()
    group = GroupCommit(sends, seconds=5)
    large = [message(str(number)) for number in range(MAX_MESSAGES + 1)]
    await asyncio.gather(group.append(large), group.append([message("x")]))
    assert [len(batch) for batch in sends.batches] == [MAX_MESSAGES + 1, 1]


async def test_a_failed_send_fails_everybody_who_waits_and_the_next_try_is_new() -> None:
    sends = Sends()
    sends.broken = True
    sends.gate.clear()
    group = GroupCommit(sends, seconds=5)
    calls = [asyncio.create_task(group.append([message(text)])) for text in "abc"]
    await asyncio.sleep(0)
    sends.gate.set()
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(result) for result in results] == [BusUnavailable] * 3
    sends.broken = False
    await group.append([message("d")])
    assert sends.batches[-1] == ["d"]


async def test_a_crowd_is_gathered_before_the_next_send_and_one_alone_is_not() -> None:
    sends, pauses, over = Sends(), list[int](), asyncio.Event()

    async def pause() -> None:
        pauses.append(len(sends.batches))
        await over.wait()

    group = GroupCommit(sends, seconds=5, pause=pause)
    await group.append([message("alone")])
    assert pauses == []
    await asyncio.gather(*(group.append([message("crowd")]) for _ in range(CROWD)))
    assert pauses == [2]
    late = [asyncio.create_task(group.append([message(text)])) for text in "ab"]
    await asyncio.sleep(0)
    assert len(sends.batches) == 2
    over.set()
    await asyncio.gather(*late)
    assert sends.batches[-1] == ["a", "b"]


async def test_nobody_waits_longer_than_the_bound() -> None:
    sends = Sends()
    sends.gate.clear()
    group = GroupCommit(sends, seconds=0.05)
    first = asyncio.create_task(group.append([message("a")]))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    with pytest.raises(BusUnavailable):
        await group.append([message("b")])
    with pytest.raises(BusUnavailable):
        await first
    sends.gate.set()
    await group.close()
    assert sends.batches == [["a"]]


async def test_closing_fails_those_who_have_not_begun() -> None:
    sends = Sends()
    sends.gate.clear()
    group = GroupCommit(sends, seconds=5)
    begun = asyncio.create_task(group.append([message("a")]))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    waiting = asyncio.create_task(group.append([message("b")]))
    await asyncio.sleep(0)
    sends.gate.set()
    await group.close()
    await begun
    with pytest.raises(BusUnavailable):
        await waiting
