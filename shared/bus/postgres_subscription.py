"""One member of a group on the Postgres bus: renews its leases, fetches, waits for what is not there yet."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Any

import asyncpg

from shared.bus.blocks import unpack
from shared.bus.port import BusUnavailable, Fetched, Partition, Record
from shared.bus.postgres_calls import call

if TYPE_CHECKING:
    Pool = asyncpg.Pool[asyncpg.Record]

# How long a poll that nobody wakes waits before it looks: alone it keeps p99 of delivery under 1 s.
SWEEP_SECONDS = 0.2
# Renewals within one lease's life: two may fail before a live member loses its partitions.
RENEWALS_PER_LEASE = 4


class PostgresSubscription:
    """The port's `Subscription`. `pollers` is the bus's set of events to set when something was appended."""

    def __init__(
        self,
        pool: "Pool",
        group: str,
        topics: Sequence[str],
        member: str,
        *,
        lease_seconds: float,
        pollers: set[asyncio.Event],
    ) -> None:
        self._pool = pool
        self._group = group
        self._topics = list(topics)
        self._member = member
        self._lease_seconds = lease_seconds
        self._pollers = pollers
        self._woken = asyncio.Event()
        self._assigned: frozenset[Partition] = frozenset()
        self._renew_at = 0.0
        self._turn = 0
        pollers.add(self._woken)

    @property
    def assigned(self) -> frozenset[Partition]:
        """The partitions leased to this member at its last renewal."""
        return self._assigned

    async def poll(
        self, positions: Mapping[Partition, int], *, max_records: int, timeout_seconds: float
    ) -> Sequence[Fetched]:
        """Renew when due, then fetch; wait up to the time-out for the first message."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_seconds
        while True:
            self._woken.clear()
            if loop.time() >= self._renew_at and await self._renew(positions):
                return ()
            wanted = {place: at for place, at in positions.items() if place in self._assigned}
            if wanted and (fetched := await self._fetch(wanted, max_records)):
                return fetched
            remaining = deadline - loop.time()
            if remaining <= 0:
                return ()
            with suppress(TimeoutError):
                async with asyncio.timeout(min(remaining, SWEEP_SECONDS)):
                    await self._woken.wait()

    async def leave(self) -> None:
        """Give the leases up at once; where the bus is away they run out by themselves."""
        self._pollers.discard(self._woken)
        self._assigned = frozenset()
        with suppress(BusUnavailable):
            await call(self._pool, "SELECT bus.leave($1, $2)", self._group, self._member)

    async def _renew(self, positions: Mapping[Partition, int]) -> bool:
        """Extend the leases; return whether the assignment changed."""
        started = asyncio.get_running_loop().time()
        reported = list(positions.items())
        rows = await call(
            self._pool,
            "SELECT topic, partition FROM bus.renew($1, $2, $3, $4, $5, $6, $7)",
            self._group,
            self._member,
            self._topics,
            self._lease_seconds,
            [place.topic for place, _ in reported],
            [place.number for place, _ in reported],
            [at for _, at in reported],
        )
        self._renew_at = started + self._lease_seconds / RENEWALS_PER_LEASE
        before, self._assigned = (
            self._assigned,
            frozenset(Partition(row["topic"], row["partition"]) for row in rows),
        )
        return self._assigned != before

    async def _fetch(self, wanted: Mapping[Partition, int], max_records: int) -> Sequence[Fetched]:
        # Another partition comes first each time, so that one that is always full starves nobody.
        order = sorted(wanted)
        self._turn = (self._turn + 1) % len(order)
        order = order[self._turn :] + order[: self._turn]
        return await fetch(self._pool, {place: wanted[place] for place in order}, max_records)


async def fetch(pool: "Pool", wanted: Mapping[Partition, int], max_records: int) -> Sequence[Fetched]:
    """Return what lies at the positions `wanted`: at most `max_records` in all, in the order given."""
    rows = await call(
        pool,
        "SELECT topic, partition, last_offset, body, appended_at FROM bus.fetch($1, $2, $3, $4)",
        [place.topic for place in wanted],
        [place.number for place in wanted],
        list(wanted.values()),
        max_records,
    )
    found: dict[Partition, list[Record]] = {}
    left = max_records
    for row in rows:
        place = Partition(row["topic"], row["partition"])
        records = list(islice(_records(place, row, wanted[place]), left))
        left -= len(records)
        if records:
            found.setdefault(place, []).extend(records)
    return [
        Fetched(place, wanted[place], records[-1].offset + 1, tuple(records))
        for place, records in found.items()
    ]


def _records(place: Partition, row: Any, position: int) -> Iterator[Record]:
    for offset, (key, headers, value) in unpack(row["body"], row["last_offset"], position):
        yield Record(place, offset, key, headers, value, row["appended_at"])
