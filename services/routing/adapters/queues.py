"""Queues and their one wake timer each. A waker bumps `turn`, so that no wake is lost to a running drain."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from shared.db.database import Connection

DUE = """
SELECT queue, turn FROM routing.queue
WHERE wakes_at IS NOT NULL AND wakes_at <= coalesce($1::timestamptz, statement_timestamp()) ORDER BY wakes_at
"""


async def wake(connection: Connection, queues: Sequence[str] | None, at: datetime) -> None:
    """Set the wake timer of these queues (all where None) to `at`: the last statement of a transaction."""
    await connection.execute(
        """
        UPDATE routing.queue SET wakes_at = $2, turn = turn + 1
        FROM (SELECT queue AS name FROM routing.queue WHERE $1::text[] IS NULL OR queue = ANY($1::text[])
              ORDER BY queue FOR UPDATE) AS woken
        WHERE queue.queue = woken.name
        """,
        None if queues is None else sorted(queues),
        at,
    )


async def due(connection: Connection, now: datetime | None) -> Mapping[str, int]:
    """Return the queues whose wake timer has come, with their turn."""
    return {row["queue"]: row["turn"] for row in await connection.fetch(DUE, now)}


async def settle(connection: Connection, queue: str, turn: int, wakes_at: datetime | None) -> bool:
    """Set the next wake unless somebody woke the queue since `turn` was read; True if it was set."""
    row = await connection.fetchrow(
        "UPDATE routing.queue SET wakes_at = $3 WHERE queue = $1 AND turn = $2 RETURNING queue",
        queue, turn, wakes_at,
    )  # fmt: skip
    return row is not None


async def next_in_line(connection: Connection, queue: str, limit: int, offset: int) -> list[str]:
    """Return queued leads in the order of service: highest score, then oldest."""
    rows = await connection.fetch(
        "SELECT lead_id FROM routing.lead WHERE queue = $1 ORDER BY score DESC, since, lead_id"
        " LIMIT $2 OFFSET $3",
        queue, limit, offset,
    )  # fmt: skip
    return [row["lead_id"] for row in rows]
