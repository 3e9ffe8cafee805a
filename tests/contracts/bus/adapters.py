"""The harnesses of the adapters for the contract suites."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import asyncpg
import psutil

from shared.bus.kafka.administrator import administrator
from shared.bus.kafka.bus import KafkaBus, open_kafka_bus
from shared.bus.kafka.options import KafkaOptions
from shared.bus.memory import MemoryBus
from shared.bus.postgres import PostgresBus, open_postgres_bus
from tests.contracts.bus.harness import TOPIC
from tests.support.eventually import eventually
from tests.support.freezing import freeze
from tests.support.kafka import patient, quick

# Short, so that a crashed member is found out soon; long enough for a slow machine to renew in time.
LEASE_SECONDS = 0.8


class MemoryHarness:
    """The memory bus is its own log; every handle is the same object."""

    def __init__(self) -> None:
        self.bus = MemoryBus()

    async def another(self) -> MemoryBus:
        return self.bus

    async def crash(self, group: str, member: str) -> None:
        self.bus.expire(group, member)

    async def cut(self) -> None:
        self.bus.available = False

    async def mend(self) -> None:
        self.bus.available = True

    async def trim(self) -> Sequence[str]:
        return self.bus.trim_passed(TOPIC)


class PostgresHarness:
    """The log of one database. Each handle has its own pool, as each process does."""

    bus: PostgresBus

    def __init__(
        self,
        url: str,
        stack: AsyncExitStack,
        admin: "asyncpg.Connection[asyncpg.Record]",
        outside: "asyncpg.Connection[asyncpg.Record]",
    ) -> None:
        self._url = url
        self._stack = stack
        self._admin = admin
        self._outside = outside
        self._name = ""

    async def another(self) -> PostgresBus:
        return await self._stack.enter_async_context(
            open_postgres_bus(self._url, service="scoring", lease_seconds=LEASE_SECONDS)
        )

    async def crash(self, group: str, member: str) -> None:
        async def is_gone() -> bool:
            alive: int = await self._admin.fetchval(
                "SELECT count(*) FROM bus.member WHERE group_name = $1 AND member = $2"
                " AND expires_at > clock_timestamp()",
                group,
                member,
            )
            return alive == 0

        condition: Callable[[], Awaitable[bool] | bool] = is_gone
        await eventually(condition)

    async def cut(self) -> None:
        self._name = await self._admin.fetchval("SELECT current_database()")
        await self._outside.execute(f'ALTER DATABASE "{self._name}" ALLOW_CONNECTIONS false')
        await self._outside.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", self._name
        )

    async def mend(self) -> None:
        await self._outside.execute(f'ALTER DATABASE "{self._name}" ALLOW_CONNECTIONS true')

    async def trim(self) -> Sequence[str]:
        # The registered groups have no members here; only those of the test shall count.
        await self._admin.execute(
            "SELECT bus.forget_group(g) FROM unnest(ARRAY['leadline-ingest', 'leadline-scoring',"
            " 'leadline-routing']) g"
        )
        rows = await self._admin.fetch("SELECT * FROM bus.trim_before(bus.today() + 1)")
        return [row["held_by"] for row in rows if not row["dropped"]]


@asynccontextmanager
async def postgres_harness(url: str, server: str) -> AsyncIterator[PostgresHarness]:
    """Open the harness on the migrated database `url` of `server`."""
    async with AsyncExitStack() as stack:
        admin, outside = await asyncpg.connect(url), await asyncpg.connect(server)
        stack.push_async_callback(outside.close)
        stack.callback(admin.terminate)
        made = PostgresHarness(url, stack, admin, outside)
        made.bus = await made.another()
        yield made


class KafkaHarness:
    """Topics of their own on a broker of the tests. `cut` freezes the broker, as a lost network does.

    Members on `bus` are missed a second after their last poll, those on other handles are waited for.
    """

    bus: KafkaBus

    def __init__(self, options: KafkaOptions, stack: AsyncExitStack, broker: psutil.Process) -> None:
        self._options = options
        self._stack = stack
        self._broker = broker

    async def another(self) -> KafkaBus:
        return await self._stack.enter_async_context(open_kafka_bus(patient(self._options)))

    async def crash(self, group: str, member: str) -> None:
        async with administrator(self._options) as admin:

            async def is_gone() -> bool:
                (found,) = await admin.describe_consumer_groups([self._options.prefix + group])
                ((_, _, _, _, _, members, *_),) = found.groups
                return member not in {client_id for _, client_id, *_ in members}

            condition: Callable[[], Awaitable[bool] | bool] = is_gone
            await eventually(condition)

    async def cut(self) -> None:
        freeze(self._broker)

    async def mend(self) -> None:
        self._broker.resume()


@asynccontextmanager
async def kafka_harness(options: KafkaOptions, broker_pid: int) -> AsyncIterator[KafkaHarness]:
    """Open the harness on fresh topics."""
    broker = psutil.Process(broker_pid)
    async with AsyncExitStack() as stack:
        made = KafkaHarness(options, stack, broker)
        made.bus = await stack.enter_async_context(open_kafka_bus(quick(options)))
        try:
            yield made
        finally:
            broker.resume()
