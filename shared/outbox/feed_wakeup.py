"""Waking who waits for the public feed: a NOTIFY of the relay once it has numbered events.

A hint only: whoever waits looks by itself now and then.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from shared.db.database import Database, Transaction
from shared.db.listen import listening


def feed_channel(schema: str) -> str:
    """Return the NOTIFY channel on which readers of the feed of `schema` listen."""
    return f"leadline_feed_{schema}"


class FeedHints:
    """The readers of one process who wait for the feed to grow."""

    def __init__(self) -> None:
        self._waiting: set[asyncio.Event] = set()

    def wake(self) -> None:
        """Let all who wait look at once."""
        for grown in self._waiting:
            grown.set()

    @contextmanager
    def waiting(self) -> Iterator[asyncio.Event]:
        """Give an event that is set when the feed may have grown; clear it before each look."""
        grown = asyncio.Event()
        self._waiting.add(grown)
        try:
            yield grown
        finally:
            self._waiting.discard(grown)


@asynccontextmanager
async def feed_hints(database: Database) -> AsyncIterator[FeedHints]:
    """Give the hints of the feed of `database`; for bootstraps, around the service's life."""
    hints = FeedHints()
    async with listening(database.pool, feed_channel(database.schema), hints.wake):
        yield hints


async def tell_readers(tx: Transaction) -> None:
    """Hint to the readers of all processes, once `tx` is committed, that the feed has grown."""
    # Not `listen.NOTIFY`, which lets its transaction's commit not wait for the disk: this one numbers events.
    await tx.connection.execute("SELECT pg_notify($1, '')", feed_channel(tx.schema))
