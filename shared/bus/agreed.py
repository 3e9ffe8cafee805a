"""A bus that takes messages only where it is the log that the installation has used from the beginning.

What one process sends to another log than the others read would lie there, accepted and unread.
"""

import asyncio
from collections.abc import Mapping, Sequence

import structlog

from shared.bus.port import Bus, BusUnavailable, LogIdentity, Outgoing, Partition, Record, Subscription
from shared.db.database import Database
from shared.db.errors import is_transient

log = structlog.get_logger()

# Whoever appends has to hear "not now" within 5 s, of the database that is asked here too.
ASK_SECONDS = 1.0


class AgreedBus:
    """The port's `Bus`; the first append agrees with all processes, by the database, on which log it is.

    On another one `append` raises BusUnavailable: what comes in waits in the spool and the outbox until the
    settings name the right bus, and is not lost. Readers compare by themselves (`shared.consumer.positions`).
    """

    def __init__(self, bus: Bus, database: Database) -> None:
        self._bus = bus
        self._database = database
        self._agreeing = asyncio.Lock()
        self._agreed = False

    async def append(self, messages: Sequence[Outgoing]) -> None:
        """Append durably; raise BusUnavailable, also where this is another log than before."""
        if not self._agreed:
            await self._agree()
        await self._bus.append(messages)

    async def _agree(self) -> None:
        async with self._agreeing:
            if self._agreed:
                return
            here = (await self._bus.identity()).cluster
            agreed = await self._ask(here)
        if agreed != here:
            reason = f"the installation uses the log of cluster {agreed}"
            log.critical("bus.another_log", cluster_id=here, reason=reason)
            raise BusUnavailable(f"{reason}, and this is {here}")
        self._agreed = True

    async def _ask(self, here: str) -> str:
        try:
            async with asyncio.timeout(ASK_SECONDS), self._database.connection() as connection:
                return str(await connection.fetchval("SELECT platform.agree_on_log($1)", here))
        except Exception as fault:
            if not is_transient(fault):
                raise
            raise BusUnavailable("the database does not tell which log it is to be") from fault

    async def subscribe(self, group: str, topics: Sequence[str], member: str) -> Subscription:
        """As the port says."""
        return await self._bus.subscribe(group, topics, member)

    async def identity(self) -> LogIdentity:
        """As the port says."""
        return await self._bus.identity()

    async def heads(self, topic: str) -> Mapping[Partition, tuple[int, int]]:
        """As the port says."""
        return await self._bus.heads(topic)

    async def browse(self, place: Partition, position: int, *, max_records: int) -> Sequence[Record]:
        """As the port says."""
        return await self._bus.browse(place, position, max_records=max_records)

    async def maintain(self) -> Sequence[str]:
        """As the port says."""
        return await self._bus.maintain()

    async def close(self) -> None:
        """As the port says."""
        await self._bus.close()
