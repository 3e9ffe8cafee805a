"""The keys of the first start: one for each scope, kept in the data directory (mode 0600)."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from leadline.runtime_file import read_private, write_private
from shared.db.database import Connection
from shared.web.api_key import SCOPES
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


def kept_keys(data_dir: Path) -> FirstKeys:
    """Return the keys of the first start, making them if this is it; they are not stored by this.

    The file is written before the keys are stored, so a start that is killed in between finds them again.
    """
    path = data_dir / FIRST_KEYS
    found = read_private(path)
    if found is None:
        found = {**{scope: new_token() for scope in SCOPES}, SITE: new_token(public=True)}
        write_private(path, found)
    return FirstKeys({scope: found[scope] for scope in SCOPES}, found[SITE])


async def store_keys(connection: Connection, keys: FirstKeys) -> None:
    """Store those of the first keys that are not known yet. A key that was revoked since stays revoked."""
    known = {key.id for key in await list_keys(connection)}
    for scope in SCOPES:
        token = keys.by_scope[scope]
        if key_id(token) not in known:
            await create_key(connection, name=f"first {scope} key", scopes=[scope], token=token)
    if key_id(keys.site) not in known:
        await create_key(
            connection, name="pages under /site", scopes=["ingest"], public=True, token=keys.site
        )


async def first_keys(database_url: str, data_dir: Path) -> FirstKeys:
    """Return the keys of the first start, made and stored if this is it."""
    keys = kept_keys(data_dir)
    async with administrator(database_url) as connection:
        await store_keys(connection, keys)
    return keys
