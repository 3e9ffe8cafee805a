"""The bus behind a deadline and a circuit breaker, so that its time-outs stay off the request path."""

import asyncio
import time
from collections.abc import Callable, Sequence

from services.ingest.usecases.ports import Log
from shared.bus.port import BusUnavailable, Outgoing


class GuardedLog:
    """A Log that answers within `timeout_seconds`, and at once while the bus is known to be down.

    After `failures_to_open` failures in a row it stays open for `open_seconds`; then one caller tries.
    """

    def __init__(
        self,
        log: Log,
        *,
        timeout_seconds: float = 4.0,
        failures_to_open: int = 3,
        open_seconds: float = 2.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log = log
        self._timeout_seconds = timeout_seconds
        self._failures_to_open = failures_to_open
        self._open_seconds = open_seconds
        self._monotonic = monotonic
        self._failures = 0
        self._closed_from = 0.0

    @property
    def is_open(self) -> bool:
        """Whether callers are turned away without asking the bus."""
        return self._failures >= self._failures_to_open and self._monotonic() < self._closed_from

    async def append(self, messages: Sequence[Outgoing]) -> None:
        if self.is_open:
            raise BusUnavailable("the bus failed a moment ago")
        # Whoever comes now is the one who tries; the others wait for the outcome of that.
        self._closed_from = self._monotonic() + self._open_seconds
        try:
            async with asyncio.timeout(self._timeout_seconds):
                await self._log.append(messages)
        except TimeoutError as late:
            self._count_failure()
            raise BusUnavailable(f"the bus did not answer within {self._timeout_seconds:g} s") from late
        except BusUnavailable:
            self._count_failure()
            raise
        self._failures = 0

    def _count_failure(self) -> None:
        self._failures += 1
        self._closed_from = self._monotonic() + self._open_seconds
