"""Whether the installation uses the log that the settings name, or has used another one before."""

from typing import Any

import asyncpg


async def another_log(connection: "asyncpg.Connection[Any]", cluster: str) -> str | None:
    """Return in words which log the installation uses where it is not that of `cluster`, else None.

    What was sent to one log is not in another: on a wrong one everything accepted would lie unread.
    """
    agreed = await connection.fetchval("SELECT log FROM platform.installation")
    if agreed in (None, cluster):
        return None
    return f"the installation uses the log of cluster {agreed}, and this is {cluster}"
