"""Looking keys up in the database, with a cache in memory and a last-good file for the time it is away."""

import asyncio
import hashlib
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import msgspec
import structlog

from shared.clock import Clock, SystemClock
from shared.db.database import Database
from shared.db.errors import is_transient
from shared.observability.metrics import KEY_LOOKUPS
from shared.web.auth import MAX_TOKEN, PRIVATE_PREFIX, PUBLIC_PREFIX, ApiKey, unauthorized
from shared.web.problem import unavailable
from shared.whole_file import replace_file

log = structlog.get_logger()

# A wrong key may have just been made: it is remembered shortly. Bounded, since anybody can send wrong keys.
UNKNOWN_SECONDS = 2.0
MAX_ENTRIES = 10_000
# A look-up that takes longer counts as the database being away; then it is left alone for a moment.
LOOKUP_SECONDS = 2.0
AWAY_SECONDS = 1.0
# Whoever has an answer from before waits no longer than this for a newer one.
KNOWN_SECONDS = 0.5
# Nearly every request counts here: not looked up by label each time.
_FROM_CACHE = KEY_LOOKUPS.labels("cache")


class KeySource(Protocol):
    """Where keys are looked up: by SHA-256 of the token."""

    async def find(self, digest: bytes) -> ApiKey | None:
        """Return the key, None where it is unknown or revoked; raise a transient error when away."""
        ...

    async def touch(self, key_id: str) -> None:
        """Note that the key was used."""
        ...


class PostgresKeys:
    """The keys in schema `platform`, through the functions every service may call."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, digest: bytes) -> ApiKey | None:
        async with self._database.connection() as connection:
            row = await connection.fetchrow("SELECT * FROM platform.find_key($1)", digest)
        if row is None or row["revoked_at"] is not None:
            return None
        return ApiKey(
            id=row["id"],
            scopes=frozenset(row["scopes"]),
            name=row["name"],
            actor=row["actor"],
            source=row["source"],
            public=row["public"],
            expires_at=row["expires_at"],
        )

    async def touch(self, key_id: str) -> None:
        async with self._database.connection() as connection:
            await connection.execute("SELECT platform.touch_key($1)", key_id)


@dataclass(slots=True)
class _Entry:
    key: ApiKey | None
    fresh_until: float


class KeyCache:
    """`await cache.find(token)` is the `authenticate` of an application.

    `ttl_seconds`: how long a revoked key may still be accepted. `file`: where keys that were accepted are
    kept (as hashes) for a restart while the database is away; None keeps them in memory only.
    """

    def __init__(
        self,
        source: KeySource,
        *,
        ttl_seconds: float = 30.0,
        file: Path | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._source = source
        self._ttl = ttl_seconds
        self._file = file
        self._clock = clock or SystemClock()
        self._entries: OrderedDict[bytes, _Entry] = OrderedDict()
        self._last_good: dict[bytes, ApiKey] = _load(file)
        self._running: dict[bytes, asyncio.Task[ApiKey | None]] = {}
        self._background: set[asyncio.Task[None]] = set()
        self._away = False
        self._away_until = 0.0

    async def find(self, token: str) -> ApiKey:
        """Return the key of a token; raise Problem 401, or 503 where it cannot be looked up now."""
        if len(token) > MAX_TOKEN or not token.startswith((PRIVATE_PREFIX, PUBLIC_PREFIX)):
            raise unauthorized("The API key is not valid.")
        digest = hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
        entry = self._entries.get(digest)
        if entry is not None and time.monotonic() < entry.fresh_until:
            _FROM_CACHE.inc()
            # What is in use stays, however many wrong keys somebody sends.
            self._entries.move_to_end(digest)
            return self._usable(entry.key)
        return self._usable(await self._look_up(digest))

    async def close(self) -> None:
        """End look-ups that still run."""
        tasks = [*self._running.values(), *self._background]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _look_up(self, digest: bytes) -> ApiKey | None:
        known = self._last_good.get(digest)
        if time.monotonic() >= self._away_until:
            if known is not None and self._away:
                self._ask(digest)  # nobody waits for it: its answer is there for whoever comes later
            else:
                try:
                    async with asyncio.timeout(KNOWN_SECONDS if known else None):
                        # Shared by all requests with this key, and not ended by one of them hanging up.
                        return await asyncio.shield(self._ask(digest))
                except Exception as error:
                    if not is_transient(error):
                        raise
                    self._away = True
        KEY_LOOKUPS.labels("last_good" if known else "unavailable").inc()
        if known is None:
            raise unavailable("keys_unavailable", "The API key cannot be checked now. Try again.")
        return known

    def _ask(self, digest: bytes) -> "asyncio.Task[ApiKey | None]":
        task = self._running.get(digest)
        if task is None:
            task = asyncio.create_task(self._ask_source(digest))
            self._running[digest] = task
            task.add_done_callback(lambda done: self._forget(digest, done))
        return task

    def _forget(self, digest: bytes, task: "asyncio.Task[ApiKey | None]") -> None:
        self._running.pop(digest, None)
        if not task.cancelled():
            task.exception()  # seen, even if everybody who waited for it has gone

    async def _ask_source(self, digest: bytes) -> ApiKey | None:
        try:
            async with asyncio.timeout(LOOKUP_SECONDS):
                key = await self._source.find(digest)
        except Exception as error:
            if is_transient(error):
                self._away, self._away_until = True, time.monotonic() + AWAY_SECONDS
                log.warning("keys.database_away", error_type=type(error).__name__)
            raise
        self._away = False
        KEY_LOOKUPS.labels("database").inc()
        self._store(digest, key)
        if key is not None:
            task = asyncio.create_task(self._touch(key.id))
            self._background.add(task)
            task.add_done_callback(self._background.discard)
        return key

    async def _touch(self, key_id: str) -> None:
        try:
            async with asyncio.timeout(LOOKUP_SECONDS):
                await self._source.touch(key_id)
        except Exception as error:  # a note only: a read-only or absent database must not fail the request
            log.info("keys.not_touched", key_id=key_id, error_type=type(error).__name__)

    def _store(self, digest: bytes, key: ApiKey | None) -> None:
        self._entries[digest] = _Entry(key, time.monotonic() + (self._ttl if key else UNKNOWN_SECONDS))
        self._entries.move_to_end(digest)
        while len(self._entries) > MAX_ENTRIES:
            self._entries.popitem(last=False)
        before = self._last_good.get(digest)
        if key is None:
            self._last_good.pop(digest, None)
        else:
            self._last_good[digest] = key
        if before != key and self._file is not None:
            _save(self._file, self._last_good)

    def _usable(self, key: ApiKey | None) -> ApiKey:
        expired = key is not None and key.expires_at is not None and key.expires_at <= self._clock.now()
        if key is None or expired:
            raise unauthorized("The API key is not valid.")
        return key


def _load(file: Path | None) -> dict[bytes, ApiKey]:
    if file is None or not file.exists():
        return {}
    try:
        stored = msgspec.json.decode(file.read_bytes(), type=dict[str, ApiKey])
        return {bytes.fromhex(digest): key for digest, key in stored.items()}
    except (OSError, ValueError, msgspec.MsgspecError):
        log.warning("keys.last_good_unreadable")
        return {}


def _save(file: Path, keys: Mapping[bytes, ApiKey]) -> None:
    plain: dict[str, Any] = {digest.hex(): key for digest, key in keys.items()}
    try:
        replace_file(file, msgspec.json.encode(plain))
    except OSError as error:  # a full disk must not fail a request that is good
        log.warning("keys.last_good_not_written", error_type=type(error).__name__)
