"""Connection pools of the services: each works under its own role with time-outs that keep a fault short."""

from typing import TYPE_CHECKING

import asyncpg

from shared.contracts.topics import ServiceName
from shared.db.revision import role_of

if TYPE_CHECKING:
    Pool = asyncpg.Pool[asyncpg.Record]


async def create_pool(
    url: str,
    *,
    service: ServiceName,
    role: str | None = "",
    application: str = "",
    min_size: int = 1,
    max_size: int = 10,
    statement_timeout_ms: int = 10_000,
) -> "Pool":
    """Return an open pool for `service`.

    `role`: the role its sessions take on; default the service's own, None for an installation with one role.
    Time-outs (DESIGN: idle in transaction 3 s, locks 2 s) are session defaults, so `RESET ALL` keeps them.
    """
    settings = {
        "application_name": application or f"leadline-{service}",
        "idle_in_transaction_session_timeout": "3000",
        "lock_timeout": "2000",
        "statement_timeout": str(statement_timeout_ms),
        "jit": "off",
        "timezone": "UTC",
    }
    if role == "":
        role = role_of(service)
    if role is not None:
        settings["role"] = role
    return await asyncpg.create_pool(
        url,
        min_size=min_size,
        max_size=max_size,
        timeout=4,
        command_timeout=statement_timeout_ms / 1000 + 2,
        max_inactive_connection_lifetime=300,
        server_settings=settings,
    )
