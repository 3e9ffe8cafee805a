"""The Postgres bus: the log of `postgres.sql` behind the port, for installations that run no broker."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import TYPE_CHECKING

import asyncpg

from shared.bus.blocks import blocks_of
from shared.bus.group_commit import GroupCommit
from shared.bus.port import (
    BusUnavailable,
    LogIdentity,
    Outgoing,
    Partition,
    Record,
    Subscription,
    UnknownTopic,
)
from shared.bus.postgres_calls import CALL_SECONDS, call
from shared.bus.postgres_subscription import PostgresSubscription, fetch
from shared.contracts.topics import ServiceName
from shared.db.listen import NOTIFY, listening
from shared.db.pool import create_pool

if TYPE_CHECKING:
    Pool = asyncpg.Pool[asyncpg.Record]

CHANNEL = "leadline_bus"
# Hints to other processes are gathered this long: a NOTIFY takes a lock that all commits share.
GATHER_SECONDS = 0.005
# A member that has not polled for this long has lost its partitions; take-over after a crash takes as long.
LEASE_SECONDS = 6.0
# Appending, fetching, hinting and listening; more would only queue at the heads' locks.
POOL_SIZE = 5


class PostgresBus:
    """The port's `Bus` on schema `bus`. `pool` must be able to call its functions; it is not closed here."""

    def __init__(self, pool: "Pool", *, lease_seconds: float = LEASE_SECONDS) -> None:
        self._pool = pool
        self._lease_seconds = lease_seconds
        self._appends = GroupCommit(self._append, seconds=CALL_SECONDS)
        self._partitions: dict[str, int] = {}
        self._pollers: set[asyncio.Event] = set()
        self._hint: asyncio.Task[None] | None = None

    async def append(self, messages: Sequence[Outgoing]) -> None:
        """Append durably; concurrent calls share one commit."""
        if not messages:
            return
        for message in messages:
            if message.topic not in self._partitions:
                await self._partition_count(message.topic)
        await self._appends.append(messages)

    async def subscribe(self, group: str, topics: Sequence[str], member: str) -> Subscription:
        """Join `group`; partitions come with the first polls."""
        for topic in topics:
            await self._partition_count(topic)
        await call(self._pool, "SELECT bus.join($1, $2)", group, list(topics))
        return PostgresSubscription(
            self._pool, group, topics, member, lease_seconds=self._lease_seconds, pollers=self._pollers
        )

    async def identity(self) -> LogIdentity:
        """Return the cluster's id and the topics' ids."""
        rows = await call(self._pool, "SELECT cluster, topic, topic_id, partitions FROM bus.identity()")
        self._partitions = {row["topic"]: row["partitions"] for row in rows}
        cluster = rows[0]["cluster"] if rows else ""
        return LogIdentity(cluster, {row["topic"]: row["topic_id"] for row in rows})

    async def heads(self, topic: str) -> Mapping[Partition, tuple[int, int]]:
        """Return (first kept offset, next offset) of each partition."""
        rows = await call(self._pool, "SELECT partition, first_offset, next_offset FROM bus.heads($1)", topic)
        return {Partition(topic, row["partition"]): (row["first_offset"], row["next_offset"]) for row in rows}

    async def browse(self, place: Partition, position: int, *, max_records: int) -> Sequence[Record]:
        """Return what lies at and after `position`."""
        fetched = await fetch(self._pool, {place: position}, max_records)
        return [record for part in fetched for record in part.records]

    async def maintain(self) -> Sequence[str]:
        """Drop the days that retention has passed; return which could not go, and for whom."""
        rows = await call(self._pool, "SELECT day, dropped, held_by FROM bus.trim()")
        return [f"bus day {row['day']} is kept: {row['held_by']}" for row in rows if not row["dropped"]]

    async def close(self) -> None:
        """Finish the append under way; later ones raise BusUnavailable."""
        await self._appends.close()
        if self._hint is not None:
            self._hint.cancel()
            with suppress(asyncio.CancelledError):
                await self._hint

    def wake_pollers(self) -> None:
        """Let every poll of this process look at once."""
        for event in self._pollers:
            event.set()

    async def _partition_count(self, topic: str) -> int:
        if topic not in self._partitions:
            await self.identity()
        try:
            return self._partitions[topic]
        except KeyError:
            raise UnknownTopic(f"the bus has no topic {topic!r}; are the migrations run?") from None

    async def _append(self, messages: Sequence[Outgoing]) -> None:
        blocks = blocks_of(messages, self._partitions)
        await call(
            self._pool,
            "SELECT bus.append($1, $2, $3, $4)",
            [block.topic for block in blocks],
            [block.partition for block in blocks],
            [len(block.entries) for block in blocks],
            [block.body() for block in blocks],
        )
        self.wake_pollers()
        if self._hint is None or self._hint.done():
            self._hint = asyncio.create_task(self._notify())

    async def _notify(self) -> None:
        await asyncio.sleep(GATHER_SECONDS)
        # Not being able to hint is no fault: pollers of other processes look by themselves.
        with suppress(BusUnavailable):
            await call(self._pool, NOTIFY, CHANNEL, seconds=2)


@asynccontextmanager
async def open_postgres_bus(
    url: str, *, service: ServiceName, role: str | None = "", lease_seconds: float = LEASE_SECONDS
) -> AsyncIterator[PostgresBus]:
    """Open the bus with a pool of its own under the service's role (as `shared.db.pool.create_pool`)."""
    async with AsyncExitStack() as stack:
        pool = await create_pool(
            url,
            service=service,
            role=role,
            application=f"leadline-{service}-bus",
            min_size=0,
            max_size=POOL_SIZE,
            statement_timeout_ms=int(CALL_SECONDS * 1000) - 500,
            # Every use is one autocommit call; the session that listens is cut off, not handed back.
            stateless=True,
        )
        stack.push_async_callback(_close, pool)
        bus = PostgresBus(pool, lease_seconds=lease_seconds)
        stack.push_async_callback(bus.close)
        await stack.enter_async_context(listening(pool, CHANNEL, bus.wake_pollers))
        yield bus


async def _close(pool: "Pool") -> None:
    try:
        await asyncio.wait_for(pool.close(), timeout=2)
    except TimeoutError:
        pool.terminate()
