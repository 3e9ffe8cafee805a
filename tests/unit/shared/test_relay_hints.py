"""Hints to a relay in another process go on after a connection that broke in the middle of an answer."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import asyncpg

from shared.db.database import Database
from shared.outbox.wakeup import relay_elsewhere, wake
from tests.support.eventually import eventually


class BrokenOnce:
    """A database whose first connection gets out of step with the protocol."""

    schema = "scoring"
    told = 0
    tries = 0

    @asynccontextmanager
    async def connection(self) -> AsyncIterator["BrokenOnce"]:
        self.tries += 1
        if self.tries == 1:
            raise asyncpg.InternalClientError("got result for unknown protocol state")
        yield self

    async def execute(self, *_: object, **_options: object) -> None:
        self.told += 1


async def test_a_hint_that_failed_does_not_end_the_hints() -> None:
    database = BrokenOnce()
    async with relay_elsewhere(cast(Database, database)):
        wake("scoring")
        await eventually(lambda: database.tries == 1)
        wake("scoring")
        await eventually(lambda: database.told == 1)
