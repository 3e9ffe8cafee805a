"""One call to Kafka, answered or refused in time; the library's faults become the port's exceptions."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from aiokafka import errors

from shared.bus.kafka.options import CALL_SECONDS
from shared.bus.port import BusForbids, BusUnavailable

ResultT = TypeVar("ResultT")

# Of no message: what we may do there is the operator's affair, and must be seen.
FORBIDDEN = (errors.TopicAuthorizationFailedError, errors.GroupAuthorizationFailedError)
# Faults that no waiting mends: they are ours, and must be seen.
PERMANENT = (
    errors.MessageSizeTooLargeError,
    errors.RecordListTooLargeError,
    errors.UnsupportedCodecError,
    errors.IllegalStateError,
    errors.IllegalArgumentError,
)


async def in_time(work: Awaitable[ResultT], seconds: float = CALL_SECONDS) -> ResultT:
    """Await `work`; raise BusUnavailable where it takes longer than `seconds` or the cluster is away.

    BusForbids where it refuses us by our rights. BusUnavailable also where the library cancels a task of its
    own that we wait for: nobody has asked us to end.
    """
    try:
        async with asyncio.timeout(seconds):
            return await work
    except PERMANENT:
        raise
    except FORBIDDEN as fault:
        raise BusForbids(type(fault).__name__) from fault
    except asyncio.CancelledError as cancelled:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise BusUnavailable("the client gave up") from cancelled
    except (errors.KafkaError, errors.ConsumerStoppedError, TimeoutError, OSError) as fault:
        raise BusUnavailable(type(fault).__name__) from fault
