"""The keys of the first start: one for each scope, kept in the data directory (mode 0600)."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg

from leadline.runtime_file import read_private, write_private
from shared.web.auth import SCOPES
from shared.web.keys import create_key, key_id, list_keys, new_token

FIRST_KEYS = "keys.json"


@asynccontextmanager
async def administrator(database_url: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """Give a connection as the user of the URL, who owns the schemas."""
    connection = await asyncpg.connect(database_url, timeout=10)
    try:
        yield connection
    finally:
        await connection.close()


async def first_keys(database_url: str, data_dir: Path) -> dict[str, str]:
    """Return the token of one key for each scope, made at the first start.

    The file is written before the keys are stored, so a start that is killed in between finds them again.
    A key that was revoked since stays revoked.
    """
    path = data_dir / FIRST_KEYS
    found = read_private(path)
    if found is None:
        found = {scope: new_token() for scope in SCOPES}
        write_private(path, found)
    async with administrator(database_url) as connection:
        known = {key.id for key in await list_keys(connection)}
        for scope in SCOPES:
            if key_id(found[scope]) not in known:
                await create_key(
                    connection, name=f"first {scope} key", scopes=[scope], token=str(found[scope])
                )
    return {scope: str(found[scope]) for scope in SCOPES}
