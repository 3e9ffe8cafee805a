"""The timer's port `Due` on a pool."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from services.routing.adapters import queues, timer_rows
from shared.db.database import Database


class DueRows:
    """Reads what is due, each statement its own transaction, no locks."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def leads(self, now: datetime | None, limit: int) -> Sequence[str]:
        async with self._database.connection() as connection:
            return await timer_rows.due_leads(connection, now, limit)

    async def queues(self, now: datetime | None) -> Sequence[tuple[str, int]]:
        async with self._database.connection() as connection:
            return list((await queues.due(connection, now)).items())

    async def until_next(self) -> timedelta | None:
        async with self._database.connection() as connection:
            return await timer_rows.until_next(connection)

    async def beat(self, holder: str, gap: timedelta, now: datetime | None) -> bool:
        async with self._database.connection() as connection:
            return await timer_rows.beat(connection, holder, gap, now)
