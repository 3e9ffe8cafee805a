"""API keys: creating, listing and revoking them, directly in the database as its administrator."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import asyncpg
from shared.db.key_material import hash_key, new_key

from leadline.runtime_file import read_private, write_private

FIRST_SCOPES = ("ingest", "read", "work", "admin")
FIRST_KEYS = "keys.json"


@dataclass(frozen=True, slots=True)
class NewKey:
    """What a key may do and for whom it acts. `public`: may stand in a web page; it can only write."""

    name: str
    scopes: Sequence[str]
    actor: str | None = None
    source: str | None = None
    public: bool = False
    expires_at: datetime | None = None


@asynccontextmanager
async def administrator(database_url: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """Give a connection as the user of the URL, who owns the schemas."""
    connection = await asyncpg.connect(database_url, timeout=10)
    try:
        yield connection
    finally:
        await connection.close()


async def create_key(
    connection: "asyncpg.Connection[asyncpg.Record]", key: NewKey, secret: str | None = None
) -> tuple[str, str]:
    """Store a key; return its id and its secret, which is kept nowhere."""
    key_id, drawn = new_key()
    secret = secret or drawn
    await connection.execute(
        "SELECT platform.create_key($1, $2, $3, $4, $5, $6, $7, $8)",
        key_id,
        hash_key(secret),
        key.name,
        list(key.scopes),
        key.actor,
        key.source,
        key.public,
        key.expires_at,
    )
    return key_id, secret


async def list_keys(connection: "asyncpg.Connection[asyncpg.Record]") -> list[dict[str, Any]]:
    """Return all keys, oldest first, without their secrets."""
    return [dict(row) for row in await connection.fetch("SELECT * FROM platform.list_keys()")]


async def revoke_key(connection: "asyncpg.Connection[asyncpg.Record]", key_id: str) -> bool:
    """Revoke a key at once; return whether there is one of that id."""
    return bool(await connection.fetchval("SELECT platform.revoke_key($1)", key_id))


async def first_keys(database_url: str, data_dir: Path) -> dict[str, str]:
    """Return the secret of one key for each scope, made at the first start and kept in the data directory.

    The file is written before the keys are stored, so a start that is killed in between finds them again.
    """
    path = data_dir / FIRST_KEYS
    found = read_private(path)
    if found is None:
        found = {scope: new_key()[1] for scope in FIRST_SCOPES}
        write_private(path, found)
    secrets = {scope: str(found[scope]) for scope in FIRST_SCOPES}
    async with administrator(database_url) as connection:
        for scope, secret in secrets.items():
            if not await connection.fetchrow("SELECT id FROM platform.find_key($1)", hash_key(secret)):
                await create_key(connection, NewKey(f"first {scope} key", [scope]), secret)
    return secrets
