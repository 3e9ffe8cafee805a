"""The way round a bus or a database that is away: over this machine's disk, and on from there afterwards."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from services.ingest.adapters.guards import Breaker
from services.ingest.domain.activity import Contact
from services.ingest.domain.intake import Parked, Posted
from services.ingest.domain.plain_values import Shape
from services.ingest.usecases.follow_sources import CurrentSources, SourcesUnavailable
from services.ingest.usecases.ports import IntakeStore, Log, StoreUnavailable
from services.ingest.usecases.spool_intake import (
    pack_messages,
    pack_parked,
    pack_submission,
    park_spooled,
    settle_spooled,
    unpack_messages,
)
from shared.bus.port import Bus, BusForbids, BusUnavailable, Outgoing, UnknownTopic
from shared.contracts.topics import ACTIVITY
from shared.db.errors import is_of_the_installation, is_transient
from shared.observability import metrics
from shared.spool.drain import Deliver, Drainer, NotYet
from shared.spool.frames import Entry
from shared.spool.spool import Spool, SpoolUnavailable

MESSAGES, SUBMISSION, PARKED = "messages", "submission", "parked"
# Looking whether something is back, and bringing it what was spooled, is on nobody's request path.
SECONDS = 4.0


class SpooledLog:
    """A Log that keeps on disk what the bus does not take; BusUnavailable where the disk does not either."""

    def __init__(self, log: Log, spool: Spool) -> None:
        self._log = log
        self._spool = spool

    async def append(self, messages: Sequence[Outgoing]) -> None:
        try:
            return await self._log.append(messages)
        except BusUnavailable:
            try:
                await _keep(self._spool, Entry(MESSAGES, pack_messages(messages)))
            except SpoolUnavailable as full:
                raise BusUnavailable(str(full)) from full


class SpooledIntake:
    """The Reserve of ingest's tables."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool

    async def keep_submission(self, posted: Posted) -> None:
        await self._store(Entry(SUBMISSION, pack_submission(posted)))

    async def keep_parked(self, items: Sequence[Parked]) -> None:
        await self._store(Entry(PARKED, pack_parked(items)))

    async def _store(self, entry: Entry) -> None:
        try:
            await _keep(self._spool, entry)
        except SpoolUnavailable as full:
            raise StoreUnavailable(str(full)) from full


async def _keep(spool: Spool, entry: Entry) -> None:
    await spool.append([entry])
    metrics.SPOOLED.labels("ingest", spool.directory.name).inc()


def bus_drainer(spool: Spool, bus: Bus, breaker: Breaker) -> Drainer:
    """Return what brings spooled messages to the bus, and tells the breaker when that is back."""

    async def send(records: Sequence[bytes]) -> None:
        async with asyncio.timeout(SECONDS):
            await bus.append([message for record in records for message in unpack_messages(record)])

    async def look() -> None:
        await bus.heads(ACTIVITY.name)

    return _drainer(spool, breaker, {MESSAGES: send}, look)


@dataclass(frozen=True, slots=True)
class Settling:
    """What settling submissions takes."""

    store: IntakeStore
    sources: CurrentSources
    contact: Contact
    shape: Shape


def intake_drainer(
    spool: Spool, settling: Settling, breaker: Breaker, look: Callable[[], Awaitable[None]]
) -> Drainer:
    """Return what settles spooled submissions and items; `look` raises while the database is away."""

    async def settle(records: Sequence[bytes]) -> None:
        sources = await settling.sources.get()
        for record in records:
            async with asyncio.timeout(SECONDS):
                await settle_spooled(
                    record,
                    sources=sources,
                    store=settling.store,
                    contact=settling.contact,
                    shape=settling.shape,
                )

    async def park(records: Sequence[bytes]) -> None:
        async with asyncio.timeout(SECONDS):
            await park_spooled(records, store=settling.store)

    return _drainer(spool, breaker, {SUBMISSION: settle, PARKED: park}, look)


def _drainer(
    spool: Spool, breaker: Breaker, deliver: Mapping[str, Deliver], look: Callable[[], Awaitable[None]]
) -> Drainer:
    async def look_if_open() -> None:
        if breaker.is_open:
            with _away_is_not_yet():
                async with asyncio.timeout(SECONDS):
                    await look()
            breaker.worked()

    guarded = {kind: _telling(breaker, one) for kind, one in deliver.items()}
    return Drainer(spool, guarded, service="ingest", when_done=look_if_open)


def _telling(breaker: Breaker, deliver: Deliver) -> Deliver:
    async def delivered(records: Sequence[bytes]) -> None:
        with _away_is_not_yet():
            await deliver(records)
        breaker.worked()

    return delivered


@contextmanager
def _away_is_not_yet() -> Iterator[None]:
    """Let records wait for what is no fault of theirs: what is away, and what whoever runs it has to mend.

    Taken for their own fault, missing rights would have every record set aside, one by one.
    """
    try:
        yield
    except (BusUnavailable, BusForbids, UnknownTopic, SourcesUnavailable) as away:
        raise NotYet(str(away)) from away
    except Exception as fault:
        if is_transient(fault) or is_of_the_installation(fault):
            raise NotYet(type(fault).__name__) from fault
        raise
