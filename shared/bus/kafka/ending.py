"""Ending the library's clients in time: in order, and by force where a broker does not answer.

Their own `stop` waits for what is under way and has no time limit; cut short, it leaves connections open.
"""

import asyncio
from collections.abc import Awaitable
from typing import Any

from aiokafka.errors import KafkaError

# What may still arrive by then is sent or read again by whoever comes next.
ORDERLY_SECONDS = 2.0
FORCED_SECONDS = 1.0


async def start(work: Awaitable[None]) -> None:
    """Await what connects; cut short, let it come to its end first: the library loses what it is opening."""
    connecting = asyncio.ensure_future(work)
    try:
        await asyncio.shield(connecting)
    except asyncio.CancelledError:
        await asyncio.wait([connecting], timeout=FORCED_SECONDS)
        if not connecting.cancel() and not connecting.cancelled():
            connecting.exception()  # seen
        raise


async def end_producer(producer: Any) -> None:
    """Flush and close; after a while close whatever is left."""
    if not await _within(ORDERLY_SECONDS, producer.stop()):
        await _within(FORCED_SECONDS, producer._sender.close())
        await end_client(producer.client)
    _look_at_unsent(producer)


def _look_at_unsent(producer: Any) -> None:
    """See the exceptions that the library gave to batches never sent: it made two, and callers saw one."""
    for batches in producer._message_accumulator._batches.values():
        for batch in batches:
            if batch._drain_waiter.done():
                batch._drain_waiter.exception()


async def end_consumer(consumer: Any) -> None:
    """Leave the group and close; after a while close whatever is left: the session then runs out."""
    ended = False
    try:
        ended = await _within(ORDERLY_SECONDS, consumer.stop())
    finally:
        if not ended:
            await _force(consumer)


async def _force(consumer: Any) -> None:
    """Close what `stop` has not come to: its tasks would go on, and open connections anew."""
    for name in ("_heartbeat_task", "_commit_refresh_task"):
        task = getattr(consumer._coordinator, name, None)
        if task is not None:
            task.cancel()
    if consumer._fetcher is not None:
        await _within(FORCED_SECONDS, consumer._fetcher.close())
    await end_client(consumer._client)


async def end_client(client: Any) -> None:
    """Close the connections, whether or not they answer."""
    await _within(FORCED_SECONDS, client.close())


async def _within(seconds: float, work: Awaitable[Any]) -> bool:
    """Return whether it came to a good end by itself; what is left after another one is closed by force.

    The library's `stop` may raise the cancellation of a task that it has cancelled itself, in the middle of
    its work. That is none of ours, and must not look like it to whoever waits here.
    """
    ending = asyncio.ensure_future(work)
    try:
        await asyncio.wait([ending], timeout=seconds)
    finally:
        if not ending.done():
            ending.cancel()
            await asyncio.wait([ending], timeout=FORCED_SECONDS)
    if not ending.done() or ending.cancelled():
        return False
    fault = ending.exception()
    if fault is not None and not isinstance(fault, (KafkaError, OSError)):
        raise fault
    return fault is None
