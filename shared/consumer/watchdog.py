"""A consumer that lives but gets nowhere ends its process: the supervisor starts a fresh one."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from shared.bus.port import BusUnavailable

LOOK_EVERY = 6  # times within the bound


class ConsumerStuck(Exception):
    """There is something to read and nothing has been read for too long."""


class Progress:
    """What the loop tells the watchdog: a position moved, or there is a good reason why none does."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._since = monotonic()

    def made(self) -> None:
        """A position moved, nothing was there to read, or the loop waits for a dependency and says so."""
        self._since = self._monotonic()

    def still_seconds(self) -> float:
        """Return for how long no progress has been made."""
        return self._monotonic() - self._since


async def watch(
    progress: Progress, lag: Callable[[], Awaitable[int]], *, stuck_after_seconds: float, who: str
) -> None:
    """Look on until the consumer is stuck, then raise ConsumerStuck. Never returns."""
    while True:
        await asyncio.sleep(stuck_after_seconds / LOOK_EVERY)
        try:
            behind = await lag()
        except (BusUnavailable, OSError, TimeoutError):
            continue  # nothing can be read from a bus that is away
        if behind <= 0:
            progress.made()
        elif progress.still_seconds() > stuck_after_seconds:
            raise ConsumerStuck(
                f"{who}: {behind} messages wait and no position moved for {progress.still_seconds():.0f} s"
            )
