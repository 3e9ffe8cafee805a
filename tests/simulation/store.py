"""A tiny database that answers the statements of relay, consumer and outbox, and no others.

Transactions see what is committed, lock rows until their end, and apply their changes at once at the commit.
A connection whose client says nothing for a while is cut off, as the server does.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from shared.db.database import Transaction
from tests.simulation.world import World

SCHEMA = "simulated"
LOCK_SECONDS = 2.0
IDLE_SECONDS = 3.0

Row = dict[str, Any]


def _away() -> Exception:
    return ConnectionError("a statement of the simulation went wrong")


@dataclass(slots=True)
class OutboxRow:
    """A row of the outbox; `drawn` ids may become visible out of their order."""

    id: int
    event_id: str
    topic: str
    type: str
    key: str
    time: datetime
    payload: bytes
    sent: int = 0
    feed_seq: int | None = None


@dataclass(slots=True)
class PositionRow:
    """A consumer's position."""

    epoch: int
    next_offset: int
    cluster: str
    topic_id: str
    failed: int = 0


@dataclass(slots=True)
class LeaseRow:
    """Who has the relay's role, and until when."""

    holder: str
    epoch: int
    expires: float


@dataclass
class Store:
    """What is committed. `handled` counts how often each offset took effect."""

    outbox: dict[int, OutboxRow] = field(default_factory=dict)
    positions: dict[tuple[str, str, int], PositionRow] = field(default_factory=dict)
    leases: dict[str, LeaseRow] = field(default_factory=dict)
    letters: list[tuple[str, int, int]] = field(default_factory=list)
    handled: dict[tuple[str, int, int], int] = field(default_factory=dict)
    values: set[bytes] = field(default_factory=set)
    feed_seq: int = 0
    last_id: int = 0
    locks: dict[object, asyncio.Lock] = field(default_factory=dict)

    # What follows can be replaced by a faulty one, to see that the checks notice.

    def unsent(self, limit: int) -> list[OutboxRow]:
        """Return the unsent rows with the lowest ids."""
        return [row for _, row in sorted(self.outbox.items()) if not row.sent][:limit]

    def is_ours(self, row: PositionRow, epoch: int, since: int) -> bool:
        """Return whether a position may be moved by whoever claimed it with `epoch` and read from `since`."""
        return (row.epoch, row.next_offset) == (epoch, since)


class Unit:
    """One transaction on one connection."""

    def __init__(self, world: World, store: Store) -> None:
        self._world = world
        self._store = store
        self._held: list[asyncio.Lock] = []
        self._changes: list[Callable[[], None]] = []
        self._cut = False
        self._idle: asyncio.TimerHandle | None = None

    async def lock(self, *names: object) -> None:
        """Lock rows in the order given, until the end."""
        for name in names:
            lock = self._store.locks.setdefault(name, asyncio.Lock())
            if lock in self._held:
                continue
            async with asyncio.timeout(LOCK_SECONDS):
                await lock.acquire()
            self._held.append(lock)

    def change(self, apply: Callable[[], None]) -> None:
        """Do something at the commit."""
        self._changes.append(apply)

    async def statement(self, name: str, work: Callable[[], Awaitable[Any]]) -> Any:
        """Carry out one statement over a call that may go wrong."""

        async def run() -> Any:
            self._look_alive()
            return await work()

        try:
            return await self._world.call(name, run, _away)
        except BaseException:
            self.end()
            raise
        finally:
            self._wait_for_the_next()

    async def commit(self) -> None:
        """Apply all changes at once, or none; whether they were applied may stay unknown."""

        async def apply() -> None:
            self._look_alive()
            for change in self._changes:
                change()
            self.end()

        try:
            await self._world.call("commit", apply, _away)
        finally:
            self.end()

    def end(self) -> None:
        """Let all locks go; nothing that was not committed happens any more."""
        self._cut = True
        if self._idle is not None:
            self._idle.cancel()
        for lock in self._held:
            lock.release()
        self._held.clear()
        self._changes = []

    def _look_alive(self) -> None:
        if self._cut:
            raise ConnectionError("the server has ended this connection")

    def _wait_for_the_next(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
        if not self._cut:
            self._idle = asyncio.get_running_loop().call_later(IDLE_SECONDS, self.end)


class Connection:
    """The part of asyncpg's connection that the plumbing uses, for the statements that it sends."""

    def __init__(self, world: World, store: Store, unit: Unit, *, autocommit: bool) -> None:
        self._world = world
        self._store = store
        self._unit = unit
        self._autocommit = autocommit

    async def fetch(self, sql: str, *values: Any, timeout: float | None = None) -> list[Row]:  # noqa: ASYNC109 asyncpg's
        del timeout
        name, work = self._statement(sql)
        rows: list[Row] = await self._unit.statement(name, lambda: work(*values))
        if self._autocommit:
            await self._unit.commit()
        return rows

    async def fetchval(self, sql: str, *values: Any) -> Any:
        rows = await self.fetch(sql, *values)
        return next(iter(rows[0].values())) if rows else None

    async def execute(self, sql: str, *values: Any, timeout: float | None = None) -> str:  # noqa: ASYNC109 as above
        return f"DONE {len(await self.fetch(sql, *values, timeout=timeout))}"

    def _statement(self, sql: str) -> tuple[str, Callable[..., Awaitable[list[Row]]]]:
        for piece, name, work in (
            ("consumer_position AS p", "claim", self._claim),
            ("FOR UPDATE OF p", "advance", self._advance),
            ("dead_letter (consumer_group", "hold", self._hold),
            ("SET rejected =", "count", self._nothing),
            (".outbox (event_id", "add to outbox", self._add),
            ("sized WHERE before", "select unsent", self._unsent),
            ("flagged AS MATERIALIZED", "mark sent", self._mark),
            ("feed_head (id", "feed head", self._nothing),
            ("DELETE FROM", "delete old", self._nothing),
            ("pg_notify", "notify", self._nothing),
            ("role_lease AS l", "take lease", self._take),
            ("role_lease WHERE role", "check lease", self._check),
            ("'-infinity'", "give up lease", self._give_up),
            ("SELECT platform.current_epoch()", "epoch", self._epoch),
        ):
            if piece in sql:
                return name, work
        raise AssertionError(f"the simulated store does not know this statement: {sql}")

    async def _nothing(self, *_: Any) -> list[Row]:
        return []

    async def _epoch(self) -> list[Row]:
        return [{"epoch": 1}]

    async def _claim(
        self,
        group: str,
        cluster: str,
        topics: Sequence[str],
        numbers: Sequence[int],
        firsts: Sequence[int],
        topic_ids: Sequence[str],
    ) -> list[Row]:
        keys = [(group, topic, number) for topic, number in zip(topics, numbers, strict=True)]
        await self._unit.lock(*keys)
        rows = []
        for key, first, topic_id in zip(keys, firsts, topic_ids, strict=True):
            old = self._store.positions.get(key)
            new = PositionRow(1, first, cluster, topic_id) if old is None else _next_epoch(old)
            self._unit.change(partial(self._store.positions.__setitem__, key, new))
            rows.append(_position(key, new))
        return rows

    async def _advance(
        self,
        group: str,
        failed: bool,
        topics: Sequence[str],
        numbers: Sequence[int],
        epochs: Sequence[int],
        sinces: Sequence[int],
        untils: Sequence[int],
        records: Sequence[int],
    ) -> list[Row]:
        del records
        columns = zip(topics, numbers, epochs, sinces, untils, strict=True)
        asked = {(group, topic, number): rest for topic, number, *rest in columns}
        await self._unit.lock(*sorted(asked))
        rows = []
        for key, (epoch, since, until) in asked.items():
            old = self._store.positions[key]
            if self._store.is_ours(old, epoch, since):
                count = old.failed + 1 if failed else 0
                new = PositionRow(old.epoch, until, old.cluster, old.topic_id, count)
                self._unit.change(partial(self._store.positions.__setitem__, key, new))
                rows.append(_position(key, new))
        return rows

    async def _hold(self, *values: Any) -> list[Row]:
        _group, _ids, topics, numbers, offsets, *_ = values
        letters = list(zip(topics, numbers, offsets, strict=True))
        self._unit.change(lambda: self._store.letters.extend(letters))
        return []

    async def _add(self, *columns: Any) -> list[Row]:
        added = []
        for values in zip(*columns, strict=True):
            # Drawn now, seen at the commit.
            self._store.last_id += 1
            row = OutboxRow(self._store.last_id, *values)
            self._unit.change(partial(self._store.outbox.__setitem__, row.id, row))
            added.append({"id": row.id})
        return added

    async def _unsent(self, limit: int, _most: int) -> list[Row]:
        return [
            {
                "id": row.id, "event_id": row.event_id, "topic": row.topic, "type": row.type, "key": row.key,
                "time": row.time, "payload": row.payload, "age_seconds": 0.0, "epoch": 1,
            }
            for row in self._store.unsent(limit)
        ]  # fmt: skip

    async def _mark(self, ids: Sequence[int], _epoch: int, feed_types: Sequence[str]) -> list[Row]:
        await self._unit.lock(*(("outbox", one) for one in sorted(ids)), "feed head")
        mine = [row for one in sorted(ids) if not (row := self._store.outbox[one]).sent]

        def mark() -> None:
            for row in mine:
                row.sent += 1
                if row.type in feed_types:
                    self._store.feed_seq += 1
                    row.feed_seq = self._store.feed_seq

        self._unit.change(mark)
        return [{"id": row.id} for row in mine]

    async def _take(self, role: str, holder: str, seconds: float) -> list[Row]:
        await self._unit.lock(("lease", role))
        old, now = self._store.leases.get(role), self._world.now
        if old is not None and old.holder != holder and old.expires >= now:
            return []
        epoch = 1 if old is None else old.epoch + (old.holder != holder)
        new = LeaseRow(holder, epoch, now + seconds)
        self._unit.change(lambda: self._store.leases.__setitem__(role, new))
        return [{"epoch": epoch}]

    async def _check(self, role: str, holder: str, epoch: int) -> list[Row]:
        await self._unit.lock(("lease", role))
        held = self._store.leases.get(role)
        return [{"held": 1}] if held and (held.holder, held.epoch) == (holder, epoch) else []

    async def _give_up(self, role: str, holder: str) -> list[Row]:
        await self._unit.lock(("lease", role))
        held = self._store.leases.get(role)
        if held and held.holder == holder:
            self._unit.change(lambda: setattr(held, "expires", -1.0))
        return []


def _next_epoch(old: PositionRow) -> PositionRow:
    return PositionRow(old.epoch + 1, old.next_offset, old.cluster, old.topic_id, old.failed)


def _position(key: tuple[str, str, int], row: PositionRow) -> Row:
    _, topic, partition = key
    return {
        "topic": topic, "partition": partition, "epoch": row.epoch, "next_offset": row.next_offset,
        "cluster_id": row.cluster, "topic_id": row.topic_id, "failed_in_a_row": row.failed,
    }  # fmt: skip


class SimulatedDatabase:
    """Stands in for `Database`, for one process."""

    def __init__(self, world: World, store: Store) -> None:
        self._world = world
        self._store = store
        self.schema = SCHEMA
        self.pool = None

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Commit when the block ends, roll back when it raises; the locks of the dead go at once."""
        unit = Unit(self._world, self._store)
        self._world.on_death(unit.end)
        connection: Any = Connection(self._world, self._store, unit, autocommit=False)
        connection.unit, connection.store = unit, self._store
        transaction = Transaction(connection, SCHEMA)
        try:
            yield transaction
            await unit.commit()
        finally:
            unit.end()
        for callback in transaction.after_commit:
            callback()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Any]:
        """Give a connection on which each statement is its own transaction."""
        unit = Unit(self._world, self._store)
        self._world.on_death(unit.end)
        try:
            yield Connection(self._world, self._store, unit, autocommit=True)
        finally:
            unit.end()
