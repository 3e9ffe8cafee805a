"""Bus and database behind a deadline and a breaker, so that their time-outs stay off the request path."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import structlog

from services.ingest.usecases.ports import Intake, IntakeStore, Log, StoreUnavailable
from shared.bus.port import BusForbids, BusUnavailable, Outgoing, UnknownTopic
from shared.db.errors import is_of_the_installation, is_transient

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for a dependency, and when to stop asking. Times in seconds.

    After `failures_to_open` failures in a row callers are turned away; then one of them tries every
    `open_seconds`. Infinite: none of them does, somebody else finds out and says `worked`.
    """

    timeout_seconds: float = 4.0
    failures_to_open: int = 3
    open_seconds: float = 2.0


class Breaker:
    """Whether a dependency, `name` in the log, may be asked, from how it answered lately."""

    def __init__(
        self, name: str, patience: Patience, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._name = name
        self.patience = patience
        self._monotonic = monotonic
        self._failures = 0
        self._closed_from = 0.0

    @property
    def is_open(self) -> bool:
        """Whether callers are turned away without asking."""
        return self._failures >= self.patience.failures_to_open and self._monotonic() < self._closed_from

    def trying(self) -> None:
        """Note that somebody asks now: while it is in doubt, the others wait for the outcome of that."""
        self._closed_from = self._monotonic() + self.patience.open_seconds

    def failed(self) -> None:
        """Count a failure."""
        self._failures += 1
        self._closed_from = self._monotonic() + self.patience.open_seconds
        if self._failures == self.patience.failures_to_open:
            log.warning("ingest.left_alone", dependency=self._name)

    def worked(self) -> None:
        """Forget all failures: it answers."""
        if self._failures >= self.patience.failures_to_open:
            log.info("ingest.back", dependency=self._name)
        self._failures = 0


class GuardedLog:
    """A Log that answers in time, and at once while the bus is known to be down.

    One that lacks a topic or our rights is down, too: it is no fault of what came in, which can wait.
    """

    def __init__(self, log: Log, breaker: Breaker) -> None:
        self._log = log
        self._breaker = breaker

    async def append(self, messages: Sequence[Outgoing]) -> None:
        if self._breaker.is_open:
            raise BusUnavailable("the bus failed a moment ago")
        self._breaker.trying()
        seconds = self._breaker.patience.timeout_seconds
        try:
            async with asyncio.timeout(seconds):
                await self._log.append(messages)
        except TimeoutError as late:
            self._breaker.failed()
            raise BusUnavailable(f"the bus did not answer within {seconds:g} s") from late
        except (BusUnavailable, BusForbids, UnknownTopic) as away:
            self._breaker.failed()
            raise BusUnavailable(str(away)) from away
        except Exception as fault:
            if not is_of_the_installation(fault):
                raise
            self._breaker.failed()
            raise BusUnavailable(type(fault).__name__) from fault
        self._breaker.worked()


class GuardedStore:
    """An IntakeStore whose transactions end in time: StoreUnavailable where the database cannot do them now.

    It may have been committed all the same; what is done again under the same ids is done once.
    """

    def __init__(self, store: IntakeStore, breaker: Breaker) -> None:
        self._store = store
        self._breaker = breaker

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Intake]:
        if self._breaker.is_open:
            raise StoreUnavailable("the database failed a moment ago")
        self._breaker.trying()
        try:
            async with (
                asyncio.timeout(self._breaker.patience.timeout_seconds),
                self._store.transaction() as intake,
            ):
                yield intake
        except Exception as fault:
            if not (is_transient(fault) or is_of_the_installation(fault)):
                raise
            self._breaker.failed()
            raise StoreUnavailable(type(fault).__name__) from fault
        self._breaker.worked()
