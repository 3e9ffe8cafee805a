"""What is due: read without locks, by partial index. Also the timer's heartbeat and the outages it shows."""

from datetime import datetime, timedelta

from shared.db.database import Connection

DUE_CLOCKS = """
SELECT DISTINCT lead_id FROM (
    SELECT lead_id FROM routing.clock
    WHERE wakes_at IS NOT NULL AND wakes_at <= coalesce($1::timestamptz, statement_timestamp())
    ORDER BY wakes_at, clock_id LIMIT $2
) AS due
"""

NEXT = """
SELECT least((SELECT min(wakes_at) FROM routing.clock WHERE wakes_at IS NOT NULL),
             (SELECT min(wakes_at) FROM routing.queue WHERE wakes_at IS NOT NULL)) - statement_timestamp()
"""

HEARTBEAT = "timer"


async def due_leads(connection: Connection, now: datetime | None, limit: int) -> list[str]:
    """Return leads with a due clock, the longest due first as far as `limit` clocks reach."""
    return [row["lead_id"] for row in await connection.fetch(DUE_CLOCKS, now, limit)]


async def until_next(connection: Connection) -> timedelta | None:
    """Return the time until the next clock or queue is due; None when nothing waits."""
    found: timedelta | None = await connection.fetchval(NEXT)
    return found


async def beat(connection: Connection, holder: str, gap: timedelta, now: datetime | None = None) -> bool:
    """Write the heartbeat; a gap longer than `gap` since the last one is stored as an outage. True if it was.

    Of two timers that come back together the row lock lets one see the gap.
    """
    return bool(
        await connection.fetchval(
            """
            WITH last AS (
                SELECT beat_at FROM routing.heartbeat WHERE name = $1 FOR UPDATE
            ), wake AS (
                INSERT INTO routing.heartbeat (name, holder, beat_at)
                VALUES ($1, $2, coalesce($4::timestamptz, statement_timestamp()))
                ON CONFLICT (name) DO UPDATE SET holder = excluded.holder,
                    beat_at = greatest(heartbeat.beat_at, excluded.beat_at)
            ), gap AS (
                INSERT INTO routing.outage (began_at, ended_at)
                SELECT beat_at, coalesce($4::timestamptz, statement_timestamp()) FROM last
                WHERE beat_at < coalesce($4::timestamptz, statement_timestamp()) - $3::interval
                RETURNING 1
            )
            SELECT count(*) > 0 FROM gap
            """,
            HEARTBEAT, holder, gap, now,
        )
    )  # fmt: skip
