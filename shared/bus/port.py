"""The bus as a port: an append-only log of keyed messages in partitions, read by groups.

Adapters: `postgres`, `memory`; Kafka fits behind the same names. Offsets of a partition grow but may have
gaps, messages may repeat, a partition may be read by a member that lost it: `shared.consumer` copes with all.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import msgspec

from shared.contracts.envelope import Headers


class BusUnavailable(Exception):
    """The bus cannot take or give messages now; nothing was promised. Retry later, or answer 503."""


class BusForbids(Exception):
    """The bus does not let us do this: it is our rights there, no message, and whoever runs it has to act."""


class UnknownTopic(Exception):
    """The log has no topic of that name; the registry and the log disagree."""


@dataclass(frozen=True, slots=True, order=True)
class Partition:
    """One partition of one topic."""

    topic: str
    number: int


class OffsetOutOfRange(Exception):
    """A position lies outside what the log keeps: reading on would silently skip messages."""

    def __init__(self, partition: Partition, position: int, first: int, next_offset: int) -> None:
        where = f"{partition.topic}/{partition.number}"
        super().__init__(f"{where}: position {position} is outside what is kept, {first}..{next_offset}")
        self.partition = partition
        self.position = position
        self.first = first
        self.next_offset = next_offset


class Outgoing(msgspec.Struct, frozen=True, gc=False):  # texts and bytes only: no cycle to look for
    """A message to append; `key` decides its partition."""

    topic: str
    key: str
    headers: Headers
    value: bytes


class Record(msgspec.Struct, frozen=True):
    """A message read back, with its place in the log."""

    partition: Partition
    offset: int
    key: str
    headers: Headers
    value: bytes
    appended_at: datetime


@dataclass(frozen=True, slots=True)
class Fetched:
    """What one partition gave: read from `position` on, continue at `next_position` (>= last offset + 1)."""

    partition: Partition
    position: int
    next_position: int
    records: tuple[Record, ...]


@dataclass(frozen=True, slots=True)
class LogIdentity:
    """Which log this is; a consumer whose stored positions belong to another must stop, not guess."""

    cluster: str
    topics: Mapping[str, str]


class Subscription(Protocol):
    """One member of one group. All calls are made from one task; `assigned` may change at every poll."""

    @property
    def assigned(self) -> frozenset[Partition]:
        """The partitions this member holds now, as far as it knows."""
        ...

    async def poll(
        self, positions: Mapping[Partition, int], *, max_records: int, timeout_seconds: float
    ) -> Sequence[Fetched]:
        """Keep the membership alive and return what lies at `positions` (partitions not named are paused).

        Returns early and empty when `assigned` changed. `positions` are those committed by the consumer: what
        lies before them may be trimmed. At most `max_records` in all, in order within each partition.
        Raises OffsetOutOfRange, BusUnavailable.
        """
        ...

    async def leave(self) -> None:
        """Give the partitions up at once."""
        ...


class Bus(Protocol):
    """A durable log. `append` returns when every message would survive kill -9, or raises BusUnavailable."""

    async def append(self, messages: Sequence[Outgoing]) -> None: ...

    async def subscribe(self, group: str, topics: Sequence[str], member: str) -> Subscription: ...

    async def identity(self) -> LogIdentity: ...

    async def heads(self, topic: str) -> Mapping[Partition, tuple[int, int]]:
        """Return (first kept offset, next offset) of each partition."""
        ...

    async def browse(self, place: Partition, position: int, *, max_records: int) -> Sequence[Record]:
        """Return what lies at and after `position` without joining a group; for checks, not for consumers.

        Empty at the end of the partition. Raises OffsetOutOfRange, BusUnavailable.
        """
        ...

    async def maintain(self) -> Sequence[str]:
        """Let the log do its housekeeping (retention); return what an operator must know, if anything."""
        ...

    async def close(self) -> None: ...
