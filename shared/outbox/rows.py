"""The outbox's rows as the relay sees them: unsent ones by id, marked together, deleted when old."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.db.database import Database, Transaction

DELETE_BATCH = 1000
# Rows may be large: a backlog of them would not get through in the time that the bus has for one append.
MAX_BYTES = 8_000_000


@dataclass(frozen=True, slots=True)
class Unsent:
    """An event that waits to be sent."""

    id: int
    event_id: str
    topic: str
    type: str
    key: str
    time: datetime
    payload: bytes
    age_seconds: float


async def select_unsent(database: Database, *, limit: int) -> tuple[list[Unsent], int]:
    """Return the unsent rows with the lowest ids, about MAX_BYTES at most, and the installation's epoch.

    Unsent, never "id greater than the last": ids become visible out of their order, and a transaction that
    commits late would be passed over for good.
    """
    async with database.connection() as connection:
        rows = await connection.fetch(
            "SELECT id, event_id, topic, type, key, time, payload,"
            " extract(epoch FROM statement_timestamp() - created_at)::float8 AS age_seconds,"
            " (SELECT platform.current_epoch()) AS epoch"
            " FROM (SELECT *, sum(octet_length(payload)) OVER (ORDER BY id) - octet_length(payload) AS before"
            f" FROM (SELECT * FROM {database.schema}.outbox WHERE sent_at IS NULL ORDER BY id LIMIT $1) AS o"
            ") AS sized WHERE before < $2 ORDER BY id",
            limit,
            MAX_BYTES,
        )
    fields = Unsent.__dataclass_fields__
    unsent = [Unsent(**{name: row[name] for name in fields}) for row in rows]
    return unsent, rows[0]["epoch"] if rows else 0


async def mark_sent(tx: Transaction, ids: Sequence[int], *, epoch: int, feed_types: Sequence[str]) -> int:
    """Mark rows as sent and number those of `feed_types` for the public feed; return how many were marked.

    The numbers are dense and become visible in order: the head's row lock is held until the commit.
    """
    if feed_types:
        await tx.connection.execute(
            f"INSERT INTO {tx.schema}.feed_head (id, last_seq) VALUES (1, 0) ON CONFLICT DO NOTHING"
        )
    marked = await tx.connection.fetch(
        f"""
        WITH mine AS MATERIALIZED (
            SELECT id, type FROM {tx.schema}.outbox
            WHERE id = ANY ($1::bigint[]) AND sent_at IS NULL ORDER BY id FOR UPDATE
        ), flagged AS MATERIALIZED (
            SELECT id, row_number() OVER (ORDER BY id) AS n FROM mine WHERE type = ANY ($3::text[])
        ), head AS (
            UPDATE {tx.schema}.feed_head SET last_seq = last_seq + (SELECT count(*) FROM flagged)
            WHERE id = 1 AND EXISTS (SELECT FROM flagged)
            RETURNING last_seq - (SELECT count(*) FROM flagged) AS before
        )
        UPDATE {tx.schema}.outbox o
        SET sent_at = statement_timestamp(), sent_epoch = $2,
            feed_seq = (SELECT head.before + flagged.n FROM head, flagged WHERE flagged.id = o.id)
        FROM mine WHERE o.id = mine.id RETURNING o.id
        """,
        list(ids),
        epoch,
        list(feed_types),
    )
    return len(marked)


async def delete_old(database: Database, keep: timedelta) -> bool:
    """Delete a batch of rows sent longer ago than `keep`; return whether more may be there."""
    async with database.connection() as connection:
        deleted = await connection.fetch(
            f"DELETE FROM {database.schema}.outbox WHERE id IN"
            f" (SELECT id FROM {database.schema}.outbox ORDER BY id LIMIT $2)"
            " AND sent_at < statement_timestamp() - $1::interval RETURNING 1",
            keep,
            DELETE_BATCH,
        )
    return len(deleted) == DELETE_BATCH


async def backlog(database: Database) -> tuple[int, float]:
    """Return how many events wait to be sent, and the age of the oldest in seconds (0 if none)."""
    async with database.connection() as connection:
        row = await connection.fetchrow(
            "SELECT count(*) AS waiting,"
            " coalesce(extract(epoch FROM statement_timestamp() - min(created_at)), 0)::float8 AS age"
            f" FROM {database.schema}.outbox WHERE sent_at IS NULL"
        )
    return (row["waiting"], row["age"]) if row else (0, 0.0)
