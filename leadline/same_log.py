"""Whether the services have read the log that the settings name, or another one before."""

from typing import Any

import asyncpg

from shared.contracts.topics import TOPICS

READERS = tuple(sorted({service for topic in TOPICS for service in topic.consumers}))


async def another_log(connection: "asyncpg.Connection[Any]", cluster: str) -> str | None:
    """Return in words which log a service reads where it is not that of `cluster`; None where all is well.

    What was sent to one log is not in another: on a wrong one everything accepted would lie unread.
    """
    for service in READERS:
        row = await connection.fetchrow(
            f"SELECT cluster_id FROM {service}.consumer_position WHERE cluster_id <> $1 LIMIT 1", cluster
        )
        if row is not None:
            return f"{service} reads the log of cluster {row['cluster_id']}, and this is {cluster}"
    return None
