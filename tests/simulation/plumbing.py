"""The plumbing under simulation: our own relay, consumer, breaker, spool and drainer in a few processes."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from services.ingest.adapters.detour import SpooledLog, bus_drainer
from services.ingest.adapters.guards import Breaker, GuardedLog, Patience
from shared.bus.memory import MemoryBus
from shared.bus.port import BusUnavailable, Outgoing, Record
from shared.consumer.consumer import Consumer, ConsumerOptions
from shared.consumer.outcome import Rejection
from shared.contracts.topics import ACTIVITY, HANDOFFS
from shared.db.database import Transaction
from shared.outbox.append import OutboxEvent, append
from shared.outbox.relay import Relay
from shared.spool.spool import Spool
from tests.simulation.disk import Disk
from tests.simulation.log import SimulatedBus
from tests.simulation.store import SimulatedDatabase, Store
from tests.simulation.world import World

GROUP = "simulated"
TOLD = "leadline.handoff.assigned.v1"
PATIENCE = Patience(timeout_seconds=1.0, failures_to_open=1, open_seconds=float("inf"))
INSTANT = datetime(2026, 3, 2, tzinfo=UTC)


@dataclass
class Plumbing:
    """All durable state, what clients were told, and the processes."""

    world: World
    folder: Path
    disk: Disk
    store: Store = field(default_factory=Store)
    log: MemoryBus = field(default_factory=lambda: MemoryBus({ACTIVITY.name: 3, HANDOFFS.name: 3}))
    sent: set[bytes] = field(default_factory=set)
    acknowledged: set[bytes] = field(default_factory=set)
    # Events committed to the outbox, by key, in the order of their commits under the key's lock.
    committed: dict[str, list[bytes]] = field(default_factory=dict)
    doors: dict[str, SpooledLog] = field(default_factory=dict)
    breakers: dict[str, Breaker] = field(default_factory=dict)

    def start(self) -> None:
        """Start two of each."""
        for number in (1, 2):
            self.world.start(f"ingest-{number}", lambda number=number: self._ingest(f"ingest-{number}"))  # type: ignore[misc]
            self.world.start(f"relay-{number}", self._relay)
            self.world.start(f"worker-{number}", self._worker)

    async def _ingest(self, name: str) -> None:
        bus = SimulatedBus(self.world, self.log)
        breaker = Breaker("bus", PATIENCE, monotonic=asyncio.get_running_loop().time)
        spool = Spool(self.folder)
        self.breakers[name] = breaker
        self.doors[name] = SpooledLog(GuardedLog(bus, breaker), spool)
        self.world.on_death(lambda: self._shut(name))
        await bus_drainer(spool, cast(Any, bus), breaker).run(asyncio.Event())

    def _shut(self, name: str) -> None:
        self.doors.pop(name, None)

    async def _relay(self) -> None:
        relay = Relay(
            cast(Any, SimulatedBus(self.world, self.log)),
            cast(Any, SimulatedDatabase(self.world, self.store)),
            feed_types=[TOLD],
            holder=f"relay-{self.world.rng.getrandbits(40)}",
        )
        # Without the hints of other processes: the sweep alone finds everything.
        await relay._loop(asyncio.Event())

    async def _worker(self) -> None:
        consumer = Consumer(
            cast(Any, SimulatedBus(self.world, self.log)),
            cast(Any, SimulatedDatabase(self.world, self.store)),
            group=GROUP,
            topics=[ACTIVITY.name, HANDOFFS.name],
            handler=handle,
            member=f"worker-{self.world.rng.getrandbits(40)}",
            options=ConsumerOptions(max_records=8, poll_seconds=0.5, longest_pause_seconds=1.0),
        )
        await consumer._loop(asyncio.Event())

    async def track(self, value: bytes) -> None:
        """Post one event at a door until it is acknowledged, a few times at most."""
        self.sent.add(value)
        message = Outgoing(ACTIVITY.name, f"k{value[-1] % 4}", (), value)
        for _ in range(4):
            if await self._post(message):
                self.acknowledged.add(value)
                return
            await asyncio.sleep(self.world.rng.uniform(0.1, 2.0))

    async def _post(self, message: Outgoing) -> bool:
        if not self.doors:
            return False
        name = self.world.rng.choice(sorted(self.doors))
        return bool(await self.world.asked(name, self.doors[name].append([message]), BusUnavailable))

    async def decide(self, value: bytes, key: str) -> None:
        """Commit an event to the outbox under the lock of its key, as routing does under a lead's."""
        database = SimulatedDatabase(self.world, self.store)
        self.sent.add(value)
        event = OutboxEvent(value.decode(), HANDOFFS.name, TOLD, key, INSTANT, value)
        try:
            async with database.transaction() as tx:
                unit = cast(Any, tx.connection).unit
                await unit.lock(("key", key))
                await append(tx, [event])
                # Another statement or two: ids drawn earlier may so be committed later.
                await asyncio.sleep(self.world.rng.choice((0.0, 0.0, 0.4)))
                unit.change(lambda: self.committed.setdefault(key, []).append(value))
        except (ConnectionError, TimeoutError):
            return


async def handle(tx: Transaction, records: Sequence[Record]) -> Sequence[Rejection]:
    """Count each offset that takes effect: none may twice, whatever dies or repeats."""
    connection = cast(Any, tx.connection)

    def apply() -> None:
        for record in records:
            place = (record.partition.topic, record.partition.number, record.offset)
            connection.store.handled[place] = connection.store.handled.get(place, 0) + 1
            connection.store.values.add(record.value)

    connection.unit.change(apply)
    return ()
