"""The log as a process reaches it: the memory bus, over calls that go wrong."""

import asyncio
from collections.abc import Mapping, Sequence

from shared.bus.memory import MemoryBus, MemorySubscription
from shared.bus.port import BusUnavailable, Fetched, LogIdentity, Outgoing, Partition, Record
from tests.simulation.world import World

# A dead member is missed after this.
SESSION_SECONDS = 3.0


def _away() -> Exception:
    return BusUnavailable("a call of the simulation went wrong")


class SimulatedBus:
    """The port's `Bus`, for one process."""

    def __init__(self, world: World, log: MemoryBus) -> None:
        self._world = world
        self._log = log

    async def append(self, messages: Sequence[Outgoing]) -> None:
        await self._world.call(f"append {len(messages)}", lambda: self._log.append(messages), _away)

    async def subscribe(self, group: str, topics: Sequence[str], member: str) -> "SimulatedSubscription":
        loop = asyncio.get_running_loop()

        def missed() -> None:
            loop.call_later(SESSION_SECONDS, self._expire, group, member)

        self._world.on_death(missed)
        found = await self._world.call("join", lambda: self._log.subscribe(group, topics, member), _away)
        return SimulatedSubscription(self._world, found)

    def _expire(self, group: str, member: str) -> None:
        if group in self._log._groups:
            self._log.expire(group, member)

    async def identity(self) -> LogIdentity:
        return await self._world.call("identity", self._log.identity, _away)

    async def heads(self, topic: str) -> Mapping[Partition, tuple[int, int]]:
        return await self._world.call("heads", lambda: self._log.heads(topic), _away)

    async def browse(self, place: Partition, position: int, *, max_records: int) -> Sequence[Record]:
        return await self._log.browse(place, position, max_records=max_records)

    async def maintain(self) -> Sequence[str]:
        return ()

    async def close(self) -> None:
        """Nothing is open."""


class SimulatedSubscription:
    """The port's `Subscription`, for one process."""

    def __init__(self, world: World, found: MemorySubscription) -> None:
        self._world = world
        self._found = found

    @property
    def assigned(self) -> frozenset[Partition]:
        return self._found.assigned

    async def poll(
        self, positions: Mapping[Partition, int], *, max_records: int, timeout_seconds: float
    ) -> Sequence[Fetched]:
        return await self._world.call(
            "poll",
            lambda: self._found.poll(positions, max_records=max_records, timeout_seconds=timeout_seconds),
            _away,
        )

    async def leave(self) -> None:
        await self._world.call("leave", self._found.leave, _away)
