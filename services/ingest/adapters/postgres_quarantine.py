"""What is read of quarantine and receipts: lists, single items, counts, the reconciliation."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import orjson

from services.ingest.adapters.postgres_intake import PARKED_COLUMNS, parked_from
from services.ingest.domain.intake import Parked
from shared.db.database import Database

_LIST = """
SELECT id, door, source, submission_id, message_id, received_at, parked_at, code, detail, pointer, state,
    attempts, event_id, changed_at, changed_by
FROM ingest.quarantine
WHERE ($1::text IS NULL OR state = $1) AND ($2::text IS NULL OR code = $2)
    AND ($3::text IS NULL OR source = $3)
    AND ($4::timestamptz IS NULL OR (parked_at, id) > ($4, $5::text))
ORDER BY parked_at, id LIMIT $6
"""
_RECEIPT = """
SELECT submission_id, source, received_at, raw, headers, arrival, message_id, state, event_id, duplicate_of,
    settled_at
FROM ingest.receipt WHERE submission_id = $1
"""
_STATUS = """
SELECT
    (SELECT coalesce(jsonb_object_agg(state, n), '{}') FROM
        (SELECT state, count(*) AS n FROM ingest.receipt GROUP BY state) AS by_state) AS receipts,
    (SELECT coalesce(jsonb_object_agg(code, jsonb_build_object('held', n, 'oldest_seconds', age)), '{}') FROM
        (SELECT code, count(*) AS n,
            round(extract(epoch FROM statement_timestamp() - min(parked_at))::numeric, 1) AS age
         FROM ingest.quarantine WHERE state = 'held' GROUP BY code) AS by_code) AS quarantine,
    (SELECT coalesce(jsonb_object_agg(state, n), '{}') FROM
        (SELECT state, count(*) AS n FROM ingest.quarantine GROUP BY state) AS by_state) AS parked,
    (SELECT count(*) FROM ingest.outbox WHERE sent_at IS NULL) AS unsent,
    (SELECT round(extract(epoch FROM statement_timestamp() - min(created_at))::numeric, 1)
     FROM ingest.outbox WHERE sent_at IS NULL) AS oldest_unsent_seconds,
    (SELECT version FROM ingest.active_source_config) AS sources_version
"""
_UNSETTLED = """
SELECT submission_id FROM ingest.receipt WHERE state = 'received' ORDER BY received_at LIMIT 20
"""
# Another content under the same id has a row of its own, and may outlive the first: shared.outbox.append.
_BESIDE_ID = "split_part(event_id, '#', 1)"
# Sent events leave the outbox after a while; what was settled longer ago than that cannot be looked up there.
_MAPPED_WITHOUT_EVENT = f"""
SELECT r.submission_id FROM ingest.receipt r
WHERE r.state = 'mapped' AND r.settled_at > statement_timestamp() - $1::interval
    AND NOT EXISTS (SELECT FROM ingest.outbox o WHERE o.event_id = r.event_id)
    AND r.event_id NOT IN (SELECT {_BESIDE_ID} FROM ingest.outbox WHERE event_id LIKE '%#%')
LIMIT 20
"""
_QUARANTINED_WITHOUT_ITEM = """
SELECT r.submission_id FROM ingest.receipt r
WHERE r.state = 'quarantined'
    AND NOT EXISTS (SELECT FROM ingest.quarantine q
                    WHERE q.submission_id = r.submission_id AND q.state = 'held')
LIMIT 20
"""
_HELD_WITHOUT_RECEIPT = """
SELECT q.id FROM ingest.quarantine q
WHERE q.door = 'form' AND q.state = 'held'
    AND NOT EXISTS (SELECT FROM ingest.receipt r
                    WHERE r.submission_id = q.submission_id AND r.state = 'quarantined')
LIMIT 20
"""
# An original goes before its duplicates; one that may still be kept has to be there.
_DUPLICATE_OF_NOTHING = """
SELECT d.submission_id FROM ingest.receipt d
WHERE d.state = 'duplicate' AND d.original_at > statement_timestamp() - $1::interval
    AND NOT EXISTS (SELECT FROM ingest.receipt r
                    WHERE r.submission_id = d.duplicate_of AND r.state <> 'duplicate')
LIMIT 20
"""
_REPLAYED_WITHOUT_EVENT = f"""
SELECT q.id FROM ingest.quarantine q
WHERE q.state = 'replayed' AND q.changed_at > statement_timestamp() - $1::interval
    AND NOT EXISTS (SELECT FROM ingest.outbox o WHERE o.event_id = q.event_id)
    AND q.event_id NOT IN (SELECT {_BESIDE_ID} FROM ingest.outbox WHERE event_id LIKE '%#%')
LIMIT 20
"""
_EVENTS = """
SELECT r.submission_id, r.event_id, (o.event_id IS NULL OR o.sent_at IS NOT NULL) AS sent
FROM ingest.receipt r LEFT JOIN ingest.outbox o ON o.event_id = r.event_id
WHERE r.state = 'mapped' AND ($1::text IS NULL OR r.submission_id > $1)
ORDER BY r.submission_id LIMIT $2
"""
_COUNTS = """
SELECT (SELECT count(*) FROM ingest.receipt) AS receipts,
    (SELECT count(*) FROM ingest.receipt WHERE state = 'mapped') AS mapped,
    (SELECT count(*) FROM ingest.receipt WHERE state = 'quarantined') AS quarantined,
    (SELECT count(*) FROM ingest.receipt WHERE state = 'duplicate') AS duplicates,
    (SELECT count(*) FROM ingest.quarantine WHERE state = 'held' AND door = 'form') AS held_forms,
    (SELECT count(*) FROM ingest.quarantine WHERE state = 'replayed') AS replayed
"""


class PostgresQuarantine:
    """Reads of ingest's tables. `outbox_kept`: how long sent events stay in the outbox; `receipts_kept`."""

    def __init__(self, database: Database, *, outbox_kept: timedelta, receipts_kept: timedelta) -> None:
        self._database = database
        self._looked_back = outbox_kept - timedelta(hours=1)
        self._kept = receipts_kept - timedelta(hours=1)

    async def list_items(
        self,
        *,
        state: str | None,
        code: str | None,
        source: str | None,
        after: tuple[datetime, str] | None,
        limit: int,
    ) -> Sequence[Mapping[str, Any]]:
        """Return items oldest first, without their bodies."""
        parked_at, last_id = after or (None, None)
        async with self._database.connection() as connection:
            rows = await connection.fetch(_LIST, state, code, source, parked_at, last_id, limit)
        return [dict(row) for row in rows]

    async def item(self, id: str) -> Parked | None:
        """Return one item, None where there is none."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow(
                f"SELECT {PARKED_COLUMNS} FROM ingest.quarantine WHERE id = $1", id
            )
        return parked_from(row) if row else None

    async def receipt(self, submission_id: str) -> Mapping[str, Any] | None:
        """Return one receipt, None where there is none."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow(_RECEIPT, submission_id)
        if row is None:
            return None
        return dict(row) | {"headers": orjson.loads(row["headers"]), "arrival": orjson.loads(row["arrival"])}

    async def status(self) -> Mapping[str, Any]:
        """Return counts and ages, as JSON-ready values."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow(_STATUS)
        assert row is not None
        return {
            "receipts": orjson.loads(row["receipts"]),
            "quarantine": orjson.loads(row["quarantine"]),
            "parked": orjson.loads(row["parked"]),
            "outbox_unsent": row["unsent"],
            "outbox_oldest_seconds": _number(row["oldest_unsent_seconds"]),
            "sources_version": row["sources_version"],
        }

    async def contradictions(self) -> Mapping[str, tuple[int, Sequence[str]]]:
        """Return, for each promise of the tables, how many rows it is about and the ids that break it."""
        async with self._database.connection() as connection, connection.transaction(readonly=True):
            counts = await connection.fetchrow(_COUNTS)
            assert counts is not None
            back = self._looked_back
            return {
                "every receipt is settled": (
                    counts["receipts"],
                    [row[0] for row in await connection.fetch(_UNSETTLED)],
                ),
                "every mapped receipt has its event": (
                    counts["mapped"],
                    [row[0] for row in await connection.fetch(_MAPPED_WITHOUT_EVENT, back)],
                ),
                "every quarantined receipt is held": (
                    counts["quarantined"],
                    [row[0] for row in await connection.fetch(_QUARANTINED_WITHOUT_ITEM)],
                ),
                "every held form has its receipt": (
                    counts["held_forms"],
                    [row[0] for row in await connection.fetch(_HELD_WITHOUT_RECEIPT)],
                ),
                "every duplicate names its original": (
                    counts["duplicates"],
                    [row[0] for row in await connection.fetch(_DUPLICATE_OF_NOTHING, self._kept)],
                ),
                "every replayed item has its event": (
                    counts["replayed"],
                    [row[0] for row in await connection.fetch(_REPLAYED_WITHOUT_EVENT, back)],
                ),
            }

    async def receipt_events(self, after: str | None, limit: int) -> list[tuple[str, str, bool]]:
        """Return (submission id, event id, sent) of mapped receipts after a submission id, in its order."""
        async with self._database.connection() as connection:
            rows = await connection.fetch(_EVENTS, after, limit)
        return [(row["submission_id"], row["event_id"], row["sent"]) for row in rows]


def _number(value: Any) -> float | None:
    return None if value is None else float(value)
