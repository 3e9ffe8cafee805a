"""The library's clients end in time, and its own cancellations stay its own."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    KafkaError,
    MessageSizeTooLargeError,
    TopicAuthorizationFailedError,
)

from shared.bus.kafka import ending as endings
from shared.bus.kafka.ending import end_consumer
from shared.bus.kafka.faults import in_time
from shared.bus.port import BusForbids, BusUnavailable


async def cancels_itself() -> None:
    """Do what aiokafka's `close` does while a fetch rests after a fault: let its task's cancellation out."""
    resting = asyncio.create_task(asyncio.Event().wait())
    resting.cancel()
    await resting


def consumer(stop: Any) -> tuple[Any, list[str]]:
    """Return a consumer with that `stop`, and what of it was closed by force."""
    closed: list[str] = []

    async def close() -> None:
        closed.append("client")

    client = SimpleNamespace(close=close)
    return SimpleNamespace(stop=stop, _coordinator=None, _fetcher=None, _client=client), closed


async def test_a_stop_that_lets_a_cancellation_out_is_no_cancellation_of_ours() -> None:
    made, closed = consumer(cancels_itself)
    ending = asyncio.create_task(end_consumer(made))
    await asyncio.wait([ending])
    assert not ending.cancelled(), "cancelled by nobody"
    assert closed == ["client"]


async def test_a_stop_that_hangs_is_cut_short_and_its_connections_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(endings, "ORDERLY_SECONDS", 0.01)
    made, closed = consumer(asyncio.Event().wait)
    await end_consumer(made)
    assert closed == ["client"]


async def test_whoever_is_cancelled_while_something_ends_is_cancelled() -> None:
    begun = asyncio.Event()

    async def stop() -> None:
        begun.set()
        await asyncio.Event().wait()

    made, _ = consumer(stop)
    waiting = asyncio.create_task(end_consumer(made))
    await begun.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_what_a_stop_that_fails_has_left_open_is_closed() -> None:
    async def stop() -> None:
        raise KafkaError("the coordinator is gone")

    made, closed = consumer(stop)
    await end_consumer(made)
    assert closed == ["client"]


async def test_a_bug_in_a_stop_is_seen() -> None:
    async def stop() -> None:
        raise ZeroDivisionError

    made, closed = consumer(stop)
    with pytest.raises(ZeroDivisionError):
        await end_consumer(made)
    assert closed == ["client"]


async def test_tasks_that_a_stop_has_not_come_to_are_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endings, "ORDERLY_SECONDS", 0.01)
    made, _ = consumer(asyncio.Event().wait)
    beating = asyncio.create_task(asyncio.Event().wait())
    made._coordinator = SimpleNamespace(_heartbeat_task=beating, _commit_refresh_task=None)
    await end_consumer(made)
    await asyncio.wait([beating])
    assert beating.cancelled()


async def test_a_call_whose_task_the_library_cancels_is_a_bus_that_is_away() -> None:
    waiting = asyncio.create_task(in_time(cancels_itself(), 5))
    await asyncio.wait([waiting])
    assert not waiting.cancelled(), "cancelled by nobody"
    assert isinstance(waiting.exception(), BusUnavailable)


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (TopicAuthorizationFailedError, BusForbids),
        (GroupAuthorizationFailedError, BusForbids),
        (MessageSizeTooLargeError, MessageSizeTooLargeError),
        (KafkaError, BusUnavailable),
    ],
)
async def test_missing_rights_are_told_from_a_message_that_is_refused(
    fault: type[Exception], told: type[Exception]
) -> None:
    async def refused() -> None:
        raise fault

    with pytest.raises(told):
        await in_time(refused(), 5)


async def test_a_call_that_we_are_told_to_give_up_is_given_up() -> None:
    waiting = asyncio.create_task(in_time(asyncio.Event().wait(), 5))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
