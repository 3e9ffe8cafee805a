"""Making, listing and revoking API keys; for administrators, on a connection of the schemas' owner."""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from shared.db.database import Connection
from shared.web.api_key import PRIVATE_PREFIX, PUBLIC_PREFIX, SCOPES, KeyScope


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key just made. `token` is shown this once; only its hash is stored."""

    id: str
    token: str
    scopes: tuple[KeyScope, ...]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class KeyInfo:
    """What a list of keys shows."""

    id: str
    name: str
    scopes: tuple[KeyScope, ...]
    actor: str | None
    source: str | None
    public: bool
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None


def new_token(*, public: bool = False) -> str:
    """Return a fresh token: `ll_<id>_<secret>` (256 bits), or `wk_<random>` for a public write key."""
    if public:
        return PUBLIC_PREFIX + secrets.token_urlsafe(24)
    return f"{PRIVATE_PREFIX}{secrets.token_hex(6)}_{secrets.token_urlsafe(32)}"


def key_id(token: str) -> str:
    """Return the id under which a key is listed and revoked; it is derived, so it may be shown and logged."""
    if token.startswith(PRIVATE_PREFIX):
        return "key_" + token.removeprefix(PRIVATE_PREFIX).partition("_")[0]
    return "key_" + hashlib.sha256(token.encode()).hexdigest()[:12]


async def create_key(
    connection: Connection,
    *,
    name: str,
    scopes: Sequence[KeyScope],
    actor: str | None = None,
    source: str | None = None,
    public: bool = False,
    expires_at: datetime | None = None,
    token: str | None = None,
) -> NewKey:
    """Store a key and return it with its token (`token`: one made earlier by `new_token`).

    Raises ValueError for scopes that are unknown, or that a public key must not have.
    """
    if not scopes or set(scopes) - set(SCOPES):
        raise ValueError(f"scopes are some of {', '.join(SCOPES)}")
    if public and set(scopes) != {"ingest"}:
        raise ValueError("a public write key has the scope ingest and no other")
    token = token or new_token(public=public)
    created_at = await connection.fetchval(
        "SELECT platform.create_key($1, $2, $3, $4::text[], $5, $6, $7, $8)",
        key_id(token),
        hashlib.sha256(token.encode()).digest(),
        name,
        list(dict.fromkeys(scopes)),
        actor,
        source,
        public,
        expires_at,
    )
    return NewKey(key_id(token), token, tuple(scopes), created_at)


async def list_keys(connection: Connection) -> list[KeyInfo]:
    """Return all keys, oldest first, revoked ones included."""
    rows = await connection.fetch("SELECT * FROM platform.list_keys()")
    return [KeyInfo(**{**dict(row), "scopes": tuple(row["scopes"])}) for row in rows]


async def revoke_key(connection: Connection, key: str) -> bool:
    """Revoke a key by its id; return False where there is none. Processes follow within the cache time."""
    return bool(await connection.fetchval("SELECT platform.revoke_key($1)", key))
