"""Ingest's receipts and quarantine in Postgres."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import asyncpg
import orjson

from services.ingest.domain.intake import Doorstep, Original, Parked, Receipt, Receipted
from shared.db.database import Database, Transaction
from shared.outbox.append import OutboxEvent, append, beside

_ADD_RECEIPT = """
INSERT INTO ingest.receipt (submission_id, source, received_at, raw, headers, arrival, message_id, state)
VALUES ($1, $2, $3, $4, $5::jsonb, $6::jsonb, $7, 'received')
ON CONFLICT (submission_id) DO NOTHING
"""
# A conflicting claim of an open transaction is waited for; whoever comes second sees the first.
_CLAIM = """
INSERT INTO ingest.submission_key AS held (source, key_hash, submission_id, claimed_at)
VALUES ($1, $2, $3, $4)
ON CONFLICT (source, key_hash) DO UPDATE
SET submission_id = excluded.submission_id, claimed_at = excluded.claimed_at
WHERE held.claimed_at < excluded.claimed_at - $5::interval
RETURNING submission_id
"""
_HOLDER = "SELECT submission_id, claimed_at FROM ingest.submission_key WHERE source = $1 AND key_hash = $2"
_SETTLE = """
UPDATE ingest.receipt
SET state = $2, event_id = $3, duplicate_of = $4, original_at = $5, settled_at = statement_timestamp()
WHERE submission_id = $1
"""
_GIVE_UP = "DELETE FROM ingest.submission_key WHERE submission_id = $1"
_PARK = """
INSERT INTO ingest.quarantine (id, door, source, submission_id, message_id, received_at, code, detail,
    pointer, body, arrival)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::timestamptz[],
    $7::text[], $8::text[], $9::text[], $10::bytea[], $11::jsonb[])
ON CONFLICT (id) DO NOTHING
"""
PARKED_COLUMNS = """id, door, source, submission_id, message_id, received_at, parked_at, code, detail,
    pointer, body, repaired_body, arrival, state, attempts, event_id"""
_LOCK_PARKED = f"""
SELECT {PARKED_COLUMNS} FROM ingest.quarantine WHERE id = ANY($1::text[]) ORDER BY id FOR UPDATE
"""
_LOCK_HELD = f"""
SELECT {PARKED_COLUMNS} FROM ingest.quarantine
WHERE state = 'held' AND id > $1 AND ($2::text IS NULL OR code = $2) AND ($3::text IS NULL OR source = $3)
ORDER BY id LIMIT $4 FOR UPDATE SKIP LOCKED
"""
_RELEASE = """
UPDATE ingest.quarantine
SET state = $2, event_id = $3, repaired_body = coalesce($4, repaired_body), changed_by = $5,
    attempts = attempts + 1, changed_at = statement_timestamp()
WHERE id = $1
"""
_HOLD_AGAIN = """
UPDATE ingest.quarantine
SET code = $2, detail = $3, pointer = $4, changed_by = $5, attempts = attempts + 1,
    changed_at = statement_timestamp()
WHERE id = $1
"""
_TAKEN = """
SELECT e.id FROM unnest($1::text[], $2::bytea[]) AS e (id, payload)
WHERE NOT EXISTS (SELECT FROM ingest.outbox o WHERE o.event_id = e.id AND o.payload = e.payload)
"""
# A key that is never free again: intervals end long before this one.
_EVER = timedelta(days=36_500)


def parked_from(row: asyncpg.Record) -> Parked:
    """Return the item of a row with PARKED_COLUMNS."""
    return Parked(
        id=row["id"],
        door=row["door"],
        source=row["source"],
        message_id=row["message_id"],
        code=row["code"],
        detail=row["detail"],
        pointer=row["pointer"],
        body=row["body"],
        doorstep=Doorstep.from_json(orjson.loads(row["arrival"]), row["received_at"]),
        submission_id=row["submission_id"],
        state=row["state"],
        repaired_body=row["repaired_body"],
        attempts=row["attempts"],
        event_id=row["event_id"],
        parked_at=row["parked_at"],
    )


class PostgresIntake:
    """One open transaction on ingest's tables."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx
        self._connection = tx.connection

    async def add_receipt(self, receipt: Receipt) -> None:
        await self._connection.execute(
            _ADD_RECEIPT,
            receipt.submission_id,
            receipt.source,
            receipt.doorstep.arrival.received_at,
            receipt.raw,
            _json(dict(receipt.headers)),
            _json(receipt.doorstep.to_json()),
            receipt.message_id,
        )

    async def claim(self, receipt: Receipt, key_hash: str, *, window: timedelta | None) -> Original | None:
        received_at = receipt.doorstep.arrival.received_at
        won = await self._connection.fetchval(
            _CLAIM,
            receipt.source,
            key_hash,
            receipt.submission_id,
            received_at,
            _EVER if window is None else window,
        )
        if won is not None:
            return None
        holder = await self._connection.fetchrow(_HOLDER, receipt.source, key_hash)
        if holder is None or holder["submission_id"] == receipt.submission_id:
            return None
        return Original(holder["submission_id"], holder["claimed_at"])

    async def settle(
        self,
        submission_id: str,
        state: Receipted,
        *,
        event_id: str | None = None,
        original: Original | None = None,
    ) -> None:
        named = (original.submission_id, original.claimed_at) if original else (None, None)
        await self._connection.execute(_SETTLE, submission_id, state, event_id, *named)

    async def give_up_claim(self, submission_id: str) -> None:
        await self._connection.execute(_GIVE_UP, submission_id)

    async def park(self, items: Sequence[Parked]) -> None:
        # In one order, so that two batches that share items cannot wait for each other.
        ordered = sorted({item.id: item for item in items}.values(), key=lambda item: item.id)
        await self._connection.execute(
            _PARK,
            [item.id for item in ordered],
            [item.door for item in ordered],
            [item.source for item in ordered],
            [item.submission_id for item in ordered],
            [item.message_id for item in ordered],
            [item.doorstep.arrival.received_at for item in ordered],
            [item.code for item in ordered],
            [item.detail for item in ordered],
            [item.pointer for item in ordered],
            [item.body for item in ordered],
            [_json(item.doorstep.to_json()) for item in ordered],
        )

    async def publish(self, events: Sequence[OutboxEvent]) -> None:
        if await append(self._tx, events) == len(events):
            return
        # Which of two contents under one id counts is for scoring to say: both have to get there.
        rows = await self._connection.fetch(
            _TAKEN, [event.id for event in events], [event.payload for event in events]
        )
        taken = {row["id"] for row in rows}
        await append(self._tx, [beside(event) for event in events if event.id in taken])

    async def lock_parked(self, ids: Sequence[str]) -> Sequence[Parked]:
        return [parked_from(row) for row in await self._connection.fetch(_LOCK_PARKED, list(ids))]

    async def lock_held(
        self, *, code: str | None, source: str | None, after: str, limit: int
    ) -> Sequence[Parked]:
        rows = await self._connection.fetch(_LOCK_HELD, after, code, source, limit)
        return [parked_from(row) for row in rows]

    async def release(
        self, item: Parked, *, event_id: str | None, repaired_body: bytes | None, actor: str
    ) -> None:
        state = "replayed" if event_id else "discarded"
        await self._connection.execute(_RELEASE, item.id, state, event_id, repaired_body, actor)

    async def hold_again(self, item: Parked, *, code: str, detail: str, pointer: str, actor: str) -> None:
        await self._connection.execute(_HOLD_AGAIN, item.id, code, detail, pointer, actor)


class PostgresIntakeStore:
    """Opens transactions on ingest's tables."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[PostgresIntake]:
        async with self._database.transaction() as tx:
            yield PostgresIntake(tx)


def _json(values: dict[str, Any]) -> str:
    return orjson.dumps(values).decode()
