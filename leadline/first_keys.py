"""The keys of the first start: one for each scope, kept in the data directory (mode 0600)."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from leadline.runtime_file import read_private, write_private
from shared.web.auth import SCOPES
from shared.web.keys import create_key, key_id, list_keys, new_token

FIRST_KEYS = "keys.json"
SITE = "site"


@asynccontextmanager
async def administrator(database_url: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """Give a connection as the user of the URL, who owns the schemas."""
    connection = await asyncpg.connect(database_url, timeout=10)
    try:
        yield connection
    finally:
        await connection.close()


@dataclass(frozen=True, slots=True)
class FirstKeys:
    """Tokens: one for each scope, and the public write key of the pages under /site."""

    by_scope: Mapping[str, str]
    site: str


async def first_keys(database_url: str, data_dir: Path) -> FirstKeys:
    """Return the keys of the first start, making them if this is it.

    The file is written before the keys are stored, so a start that is killed in between finds them again.
    A key that was revoked since stays revoked.
    """
    path = data_dir / FIRST_KEYS
    found = read_private(path)
    if found is None:
        found = {**{scope: new_token() for scope in SCOPES}, SITE: new_token(public=True)}
        write_private(path, found)
    async with administrator(database_url) as connection:
        known = {key.id for key in await list_keys(connection)}
        for scope in SCOPES:
            if key_id(found[scope]) not in known:
                await create_key(connection, name=f"first {scope} key", scopes=[scope], token=found[scope])
        if key_id(found[SITE]) not in known:
            await create_key(
                connection, name="pages under /site", scopes=["ingest"], public=True, token=found[SITE]
            )
    return FirstKeys({scope: found[scope] for scope in SCOPES}, found[SITE])
