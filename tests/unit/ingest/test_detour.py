"""The way over the disk: what a record is held for, and what it waits for."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import asyncpg
import pytest

from services.ingest.adapters.detour import MESSAGES, bus_drainer
from services.ingest.adapters.guards import Breaker, Patience
from services.ingest.usecases.spool_intake import pack_messages
from shared.bus.port import BusForbids, BusUnavailable, Outgoing, UnknownTopic
from shared.spool.drain import NotYet, waiting
from shared.spool.frames import Entry
from shared.spool.spool import Spool

MESSAGE = Outgoing("leadline.activity", "k", (), b"value")
NO_FAULT_OF_THE_RECORD = [
    BusUnavailable("away"),
    BusForbids("TopicAuthorizationFailedError"),
    UnknownTopic("no such topic"),
    asyncpg.InsufficientPrivilegeError("not yours"),
    asyncpg.UndefinedTableError("no such table"),
    asyncpg.InvalidPasswordError("who"),
    asyncpg.InvalidCatalogNameError("no such database"),
    TimeoutError("late"),
]


class _Bus:
    """A bus with one fault, until it is mended."""

    def __init__(self, fault: Exception) -> None:
        self.fault: Exception | None = fault
        self.arrived: list[Outgoing] = []

    async def append(self, messages: Sequence[Outgoing]) -> None:
        if self.fault is not None:
            raise self.fault
        self.arrived += messages

    async def heads(self, topic: str) -> dict[Any, Any]:
        return {}


@pytest.mark.parametrize("fault", NO_FAULT_OF_THE_RECORD, ids=lambda fault: type(fault).__name__)
async def test_what_is_no_fault_of_the_record_is_waited_for(tmp_path: Path, fault: Exception) -> None:
    spool, bus = Spool(tmp_path), _Bus(fault)
    await spool.append([Entry(MESSAGES, pack_messages([MESSAGE]))])
    drainer = bus_drainer(spool, cast(Any, bus), Breaker("bus", Patience()))
    with pytest.raises(NotYet):
        await drainer.turn()
    assert waiting(tmp_path).held_bytes == 0
    bus.fault = None
    assert await drainer.turn() == 1
    assert bus.arrived == [MESSAGE]
    await spool.close()


async def test_what_is_the_fault_of_the_record_holds_it(tmp_path: Path) -> None:
    spool, bus = Spool(tmp_path), _Bus(asyncpg.NumericValueOutOfRangeError("too large"))
    await spool.append([Entry(MESSAGES, pack_messages([MESSAGE]))])
    assert await bus_drainer(spool, cast(Any, bus), Breaker("bus", Patience())).turn() == 0
    assert waiting(tmp_path).held_bytes > 0
    await spool.close()
