"""A bus in memory for tests, deliberately nasty: gaps in offsets, repeated messages, rude rebalances.

Whatever works on it does not lean on a kindness of one log: dense offsets, no duplicates, revocation in time.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

from shared.bus.partitioner import partition_of
from shared.bus.port import (
    BusUnavailable,
    Fetched,
    LogIdentity,
    OffsetOutOfRange,
    Outgoing,
    Partition,
    Record,
    UnknownTopic,
)
from shared.contracts.topics import TOPICS

# Every so many messages an offset is left out; every so many appends the whole call is stored twice.
GAP_EVERY = 3
REPEAT_EVERY = 4


@dataclass(slots=True)
class _Log:
    records: list[Record] = field(default_factory=list)
    first: int = 0
    next_offset: int = 0


@dataclass(slots=True, eq=False)
class _Group:
    members: dict[str, "MemorySubscription"] = field(default_factory=dict)
    generation: int = 0
    topics: set[str] = field(default_factory=set)
    passed: dict[Partition, int] = field(default_factory=dict)


class MemoryBus:
    """The port's `Bus`. `available = False` makes every call raise BusUnavailable, as a lost broker does."""

    def __init__(
        self,
        topics: Mapping[str, int] | None = None,
        *,
        cluster: str = "memory",
        gap_every: int = GAP_EVERY,
        repeat_every: int = REPEAT_EVERY,
    ) -> None:
        """`topics` maps names to partitions; default the registry's. 0 turns a nastiness off."""
        self._topics = dict(topics or {topic.name: topic.partitions for topic in TOPICS})
        self._logs = {
            Partition(name, number): _Log() for name, count in self._topics.items() for number in range(count)
        }
        self._groups: dict[str, _Group] = {}
        self._cluster = cluster
        self._gap_every = gap_every
        self._repeat_every = repeat_every
        self._appends = 0
        self._arrived = asyncio.Event()
        self.available = True
        self.appended: list[Outgoing] = []

    async def append(self, messages: Sequence[Outgoing]) -> None:
        """Store the messages in order; now and then twice, as a producer's retry does."""
        await self._reach()
        for message in messages:
            if message.topic not in self._topics:
                raise UnknownTopic(f"the bus has no topic {message.topic!r}")
        self._appends += 1
        repeated = bool(self._repeat_every) and self._appends % self._repeat_every == 0
        for message in (*messages, *(messages if repeated else ())):
            self._store(message)
        self.appended.extend(messages)
        self._arrived.set()
        self._arrived = asyncio.Event()

    async def subscribe(self, group: str, topics: Sequence[str], member: str) -> "MemorySubscription":
        """Join `group`: every member loses all at its next poll and gets its new share at the one after."""
        await self._reach()
        for topic in topics:
            if topic not in self._topics:
                raise UnknownTopic(f"the bus has no topic {topic!r}")
        found = self._groups.setdefault(group, _Group())
        subscription = MemorySubscription(self, group, tuple(topics), member)
        found.members[member] = subscription
        found.generation += 1
        found.topics.update(topics)
        return subscription

    async def identity(self) -> LogIdentity:
        await self._reach()
        return LogIdentity(self._cluster, {name: f"{self._cluster}/{name}" for name in self._topics})

    async def heads(self, topic: str) -> Mapping[Partition, tuple[int, int]]:
        """Return (first kept offset, next offset) of each partition."""
        await self._reach()
        return {
            place: (log.first, log.next_offset) for place, log in self._logs.items() if place.topic == topic
        }

    async def browse(self, place: Partition, position: int, *, max_records: int) -> Sequence[Record]:
        """Return what lies at and after `position`."""
        await self._reach()
        found = self._read(place, position, max_records)
        return found.records if found else ()

    async def maintain(self) -> Sequence[str]:
        await self._reach()
        return ()

    async def close(self) -> None:
        self.available = False

    def expire(self, group: str, member: str) -> None:
        """Do as if `member` had not polled for too long: the others get its partitions; it is not told."""
        found = self._groups[group]
        if found.members.pop(member, None) is not None:
            found.generation += 1

    def trim(self, place: Partition, first: int) -> None:
        """Forget what lies before `first`, whoever still needs it."""
        log = self._logs[place]
        log.first = max(log.first, first)
        log.records = [record for record in log.records if record.offset >= first]

    def trim_passed(self, topic: str) -> list[str]:
        """Forget what every group that ever read the topic has passed; return who still holds the rest."""
        held: list[str] = []
        readers = {name: group for name, group in self._groups.items() if topic in group.topics}
        for place, log in self._logs.items():
            if place.topic == topic:
                self.trim(place, min([log.next_offset, *(g.passed.get(place, 0) for g in readers.values())]))
                held += [
                    f"group {name} at {group.passed.get(place, 0)} of {place.topic}/{place.number}"
                    for name, group in readers.items()
                    if group.passed.get(place, 0) < log.next_offset
                ]
        return held

    def records(self, topic: str) -> list[Record]:
        """Everything kept of a topic, partition by partition (repeats included)."""
        return [record for place, log in self._logs.items() if place.topic == topic for record in log.records]

    def _store(self, message: Outgoing) -> None:
        place = Partition(message.topic, partition_of(message.key, self._topics[message.topic]))
        log = self._logs[place]
        if self._gap_every and len(log.records) % self._gap_every == self._gap_every - 1:
            log.next_offset += 1
        log.records.append(
            Record(place, log.next_offset, message.key, message.headers, message.value, datetime.now(UTC))
        )
        log.next_offset += 1

    async def _reach(self) -> None:
        await asyncio.sleep(0)
        if not self.available:
            raise BusUnavailable("the memory bus is switched off")

    def _share(self, group: str, subscription: "MemorySubscription") -> frozenset[Partition]:
        """Deal the partitions of each topic to its live members in turn, shifted at each generation."""
        found = self._groups[group]
        mine: list[Partition] = []
        for topic in subscription.topics:
            members = sorted(name for name, other in found.members.items() if topic in other.topics)
            mine.extend(
                Partition(topic, number)
                for number in range(self._topics[topic])
                if members[(number + found.generation) % len(members)] == subscription.member
            )
        return frozenset(mine)

    def _read(self, place: Partition, position: int, limit: int) -> Fetched | None:
        log = self._logs[place]
        if not log.first <= position <= log.next_offset:
            raise OffsetOutOfRange(place, position, log.first, log.next_offset)
        found = [record for record in log.records if record.offset >= position][:limit]
        if not found:
            return None
        return Fetched(place, position, found[-1].offset + 1, tuple(found))


class MemorySubscription:
    """The port's `Subscription`. It learns of a rebalance only when it polls, as a slow member does."""

    def __init__(self, bus: MemoryBus, group: str, topics: tuple[str, ...], member: str) -> None:
        self.topics = topics
        self.member = member
        self._bus = bus
        self._group = group
        self._generation = -1
        self._assigned: frozenset[Partition] = frozenset()
        self._revoked = False

    @property
    def assigned(self) -> frozenset[Partition]:
        return self._assigned

    async def poll(
        self, positions: Mapping[Partition, int], *, max_records: int, timeout_seconds: float
    ) -> Sequence[Fetched]:
        """Return what is there; wait up to the time-out for the first message."""
        deadline = asyncio.get_running_loop().time() + timeout_seconds
        self._bus._groups[self._group].passed.update(positions)
        while True:
            await self._bus._reach()
            if self._rebalanced():
                return ()
            arrived = self._bus._arrived
            if fetched := self._fetch(positions.items(), max_records):
                return fetched
            remaining = deadline - asyncio.get_running_loop().time()
            if remaining <= 0:
                return ()
            with suppress(TimeoutError):
                async with asyncio.timeout(min(remaining, 0.05)):
                    await arrived.wait()

    async def leave(self) -> None:
        self._assigned = frozenset()
        self._bus.expire(self._group, self.member)

    def _rebalanced(self) -> bool:
        """First everything is revoked, at the next poll the new share is there."""
        group = self._bus._groups[self._group]
        if group.members.get(self.member) is not self:
            group.members[self.member] = self
            group.generation += 1
        if self._revoked:
            self._revoked = False
            self._generation = group.generation
            self._assigned = self._bus._share(self._group, self)
            return True
        if self._generation != group.generation:
            self._assigned = frozenset()
            self._revoked = True
            return True
        return False

    def _fetch(self, positions: Iterable[tuple[Partition, int]], max_records: int) -> list[Fetched]:
        fetched: list[Fetched] = []
        room = max_records
        for place, position in positions:
            if place not in self._assigned or room <= 0:
                continue
            found = self._bus._read(place, position, room)
            if found is not None:
                fetched.append(found)
                room -= len(found.records)
        return fetched
