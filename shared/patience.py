"""Opening what may not be there yet: a process that starts while its database is away waits for it."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from typing import TypeVar

import structlog

from shared.bus.port import BusUnavailable
from shared.db.errors import is_transient

log = structlog.get_logger(__name__)

FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 2.0

T = TypeVar("T")


async def enter_when_there(
    stack: AsyncExitStack, opening: Callable[[], AbstractAsyncContextManager[T]], stop: asyncio.Event
) -> T | None:
    """Enter `opening()` on `stack`, again and again while that fails by a fault of the moment.

    Returns None where `stop` was set first. Ending instead would only load all code anew at each try.
    """
    pause = FIRST_PAUSE_SECONDS
    while not stop.is_set():
        try:
            return await stack.enter_async_context(opening())
        except Exception as fault:
            if not (isinstance(fault, BusUnavailable) or is_transient(fault)):
                raise
            log.warning("process.waits_for_database", reason=type(fault).__name__, seconds=pause)
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), pause)
        pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
    return None
