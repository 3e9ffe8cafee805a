"""Whether a piece of work waits for somebody's lock: what a test of a lock has to see."""

import asyncio
from typing import Any, Protocol

from tests.support.eventually import eventually

_WAITING = """
SELECT 1 FROM pg_locks l JOIN pg_stat_activity a USING (pid)
WHERE NOT l.granted AND a.datname = current_database()
"""


class Asked(Protocol):
    """A connection to the database of the lock, or a pool of them."""

    async def fetch(self, query: str, /) -> Any: ...


async def is_held_up(work: "asyncio.Task[Any]", database: Asked) -> bool:
    """Wait until `work` waits for a lock (True), or has ended without waiting (False).

    Nobody else may wait for a lock in this database meanwhile.
    """

    async def seen() -> str:
        if work.done():
            return "it has ended"
        return "it waits" if await database.fetch(_WAITING) else ""

    return await eventually(seen, what="the work ends or waits for a lock") == "it waits"
