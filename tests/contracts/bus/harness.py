"""What the contract suite needs of an adapter beside the port: crashes of members, cuts, trimming."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from shared.bus.port import Bus, Fetched, Outgoing, Partition, Record, Subscription
from shared.contracts.topics import ACTIVITY

TOPIC = ACTIVITY.name
PARTITIONS = ACTIVITY.partitions
NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


class BusHarness(Protocol):
    """One log, reached by `bus`; more handles to the same log by `another`."""

    @property
    def bus(self) -> Bus: ...

    async def another(self) -> Bus:
        """A second handle to the same log, as another process has it."""
        ...

    async def crash(self, group: str, member: str) -> None:
        """Return once the group may take the partitions of a member that polls no more."""
        ...

    async def cut(self) -> None:
        """Make the log unreachable through `bus`."""
        ...

    async def mend(self) -> None:
        """Make it reachable again."""
        ...


class TrimmingHarness(BusHarness, Protocol):
    """A log that drops what every group has passed, and nothing else."""

    async def trim(self) -> Sequence[str]:
        """Drop all that every group has passed; return what had to stay, if anything."""
        ...


def message(number: int, *, key: str | None = None, topic: str = TOPIC) -> Outgoing:
    """Message `number`, whose value tells it from all others."""
    return Outgoing(
        topic, key or f"key-{number % 5}", (("ce_id", str(number).encode()),), str(number).encode()
    )


def numbers(records: Sequence[Record]) -> list[int]:
    """The numbers of the messages, repeats left out: a log may give a message twice, not in another order."""
    return list(dict.fromkeys(int(record.value) for record in records))


@dataclass(slots=True)
class Reader:
    """A member that reads on from where it is; new partitions start at their first kept offset."""

    bus: Bus
    subscription: Subscription
    positions: dict[Partition, int] = field(default_factory=dict)
    records: list[Record] = field(default_factory=list)

    async def turn(self, *, max_records: int = 100, timeout_seconds: float = 0.3) -> Sequence[Fetched]:
        """Poll once and move on past what came."""
        fetched = await self.subscription.poll(
            self.positions, max_records=max_records, timeout_seconds=timeout_seconds
        )
        assigned = self.subscription.assigned
        for place in self.positions.keys() - assigned:
            del self.positions[place]
        for part in fetched:
            if part.partition in self.positions:
                assert part.position == self.positions[part.partition]
                self.positions[part.partition] = part.next_position
                self.records.extend(part.records)
        if assigned - self.positions.keys():
            heads: Mapping[Partition, tuple[int, int]] = await self.bus.heads(TOPIC)
            for place in assigned - self.positions.keys():
                self.positions[place] = heads[place][0]
        return fetched

    async def until(self, count: int, *, max_records: int = 100) -> list[int]:
        """Read until `count` different messages were seen; their numbers in the order of reading."""
        for _ in range(400):
            if len(numbers(self.records)) >= count:
                break
            await self.turn(max_records=max_records)
        return numbers(self.records)


async def reader(bus: Bus, group: str = "g", member: str = "m1") -> Reader:
    """Join the group; the first partitions come with the first turns."""
    return Reader(bus, await bus.subscribe(group, [TOPIC], member))


async def settle(*readers: Reader) -> None:
    """Let the members poll in turn until they hold every partition, each by one of them."""
    for _ in range(60):
        for one in readers:
            await one.turn(timeout_seconds=0.05)
        held = [place for one in readers for place in one.subscription.assigned]
        shares = [len(one.subscription.assigned) for one in readers]
        if sorted(held) == sorted(Partition(TOPIC, number) for number in range(PARTITIONS)) and (
            max(shares) - min(shares) <= 1
        ):
            return
    raise AssertionError(f"the members hold {[sorted(one.subscription.assigned) for one in readers]}")
