"""Reads of leads for HTTP and for the pages over several services."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from services.scoring.adapters.features import derive_features
from services.scoring.adapters.keys import FIRST_PERSON_KEY, identity_of
from services.scoring.adapters.postgres_models import PostgresModels
from services.scoring.domain.features import TraitFact, resolve_traits
from services.scoring.domain.score import score
from services.scoring.domain.signals import DayCount
from services.scoring.usecases.queries import LeadFilter, ScoreAt
from shared.clock import Clock
from shared.db.database import Connection, Database

_SURVIVOR = """
WITH RECURSIVE path (lead_id) AS (
    SELECT $1::text
    UNION ALL
    SELECT r.survivor_id FROM path p JOIN scoring.redirect r ON r.lead_id = p.lead_id
)
SELECT l.lead_id FROM path p JOIN scoring.lead l ON l.lead_id = p.lead_id
"""

_COLUMNS = """l.lead_id, l.created_at, l.email, l.company_domain, l.contactable, l.fit, l.engagement, l.grade,
    l.enters, l.holds, l.needs_data, l.cycle, l.first_seen_at, l.last_seen_at, l.scored_at, l.revision,
    l.merged_ids"""

_PAGE = f"""
SELECT {_COLUMNS} FROM scoring.lead l
WHERE ($1::boolean IS NULL OR l.contactable = $1)
    AND ($2::text IS NULL OR l.lead_id IN (
        SELECT m.lead_id FROM scoring.membership m WHERE m.identity = 'e:' || $2))
    AND ($3::text IS NULL OR l.company_domain = $3)
    AND ($4::text IS NULL OR l.grade = $4)
    AND ($5::int IS NULL OR l.fit >= $5)
    AND ($6::int IS NULL OR l.engagement >= $6)
    AND ($7::boolean IS NULL OR l.enters = $7)
    AND ($11::text IS NULL OR starts_with(l.lead_id, $11))
    AND ($8::timestamptz IS NULL OR (l.created_at, l.lead_id) < ($8, $9::text))
ORDER BY l.created_at DESC, l.lead_id DESC LIMIT $10
"""

_TIMELINE = """
SELECT t.event_id, t.occurred_at, t.received_at, t.source, t.kind, t.name, t.url, t.signals, t.bot,
    t.owner, t.content::text AS content
FROM scoring.membership m JOIN scoring.timeline t ON t.owner = m.identity
WHERE m.lead_id = $1 AND ($2::timestamptz IS NULL OR (t.occurred_at, t.event_id) < ($2, $3::uuid))
ORDER BY t.occurred_at DESC, t.event_id DESC LIMIT $4
"""

_COUNTS_AT = """
SELECT s.signal, (t.occurred_at AT TIME ZONE 'UTC')::date AS day,
    coalesce(t.occurred_at <= $3, false) AS left_out, count(*)::int AS counted, max(t.occurred_at) AS last_at
FROM scoring.timeline t CROSS JOIN LATERAL unnest(t.signals) AS s (signal)
WHERE t.owner = ANY($1) AND t.occurred_at <= $2
GROUP BY 1, 2, 3
"""

_TRAITS_AT = """
SELECT DISTINCT ON (e.key COLLATE "C") e.key AS name, e.value::text AS value, t.occurred_at, t.event_id
FROM scoring.timeline t CROSS JOIN LATERAL jsonb_each(t.traits) AS e (key, value)
WHERE t.owner = ANY($1) AND t.occurred_at <= $2 AND t.traits IS NOT NULL
ORDER BY e.key COLLATE "C", t.occurred_at DESC, t.event_id DESC
"""

_IDENTITIES = """
SELECT m.identity AS key FROM scoring.membership m WHERE m.lead_id = $1
UNION
SELECT l.a FROM scoring.membership m JOIN scoring.link l ON l.b = m.identity
WHERE m.lead_id = $1 AND l.joins AND l.a < $2
ORDER BY 1
"""


@dataclass(frozen=True, slots=True)
class PostgresReads:
    """`usecases.queries.LeadReads`."""

    database: Database
    models: PostgresModels
    clock: Clock

    async def survivor(self, lead_id: str) -> str | None:
        async with self.database.connection() as connection:
            found: str | None = await connection.fetchval(_SURVIVOR, lead_id)
            return found

    async def page(
        self, wanted: LeadFilter, after: tuple[datetime, str] | None, limit: int
    ) -> list[dict[str, Any]]:
        at, lead_id = after or (None, None)
        async with self.database.connection() as connection:
            rows = await connection.fetch(
                _PAGE, wanted.contactable, wanted.email, wanted.domain, wanted.grade, wanted.min_fit,
                wanted.min_engagement, wanted.enters, at, lead_id, limit,
                wanted.id_prefix,
            )  # fmt: skip
        return [dict(row) for row in rows]

    async def lead(self, lead_id: str) -> dict[str, Any] | None:
        async with self.database.connection() as connection:
            row = await connection.fetchrow(
                f"SELECT {_COLUMNS} FROM scoring.lead l WHERE l.lead_id = $1", lead_id
            )
            if row is None:
                return None
            identities: dict[str, list[str]] = defaultdict(list)
            for found in await connection.fetch(_IDENTITIES, lead_id, FIRST_PERSON_KEY):
                identity = identity_of(found["key"])
                identities[identity.kind].append(identity.value)
            traits = await connection.fetch(
                "SELECT t.name, t.value::text AS value, t.occurred_at, t.event_id FROM scoring.membership m"
                " JOIN scoring.trait t ON t.owner = m.identity WHERE m.lead_id = $1",
                lead_id,
            )
            due_at = await connection.fetchval(
                "SELECT due_at FROM scoring.decay_timer WHERE lead_id = $1", lead_id
            )
        facts = [_fact(found) for found in traits]
        features = derive_features(resolve_traits(facts), identities.get("email", []))
        return {**dict(row), "identities": identities, "traits": features, "next_change_at": due_at}

    async def timeline(
        self, lead_id: str, after: tuple[datetime, str] | None, limit: int
    ) -> list[dict[str, Any]]:
        at, event_id = after or (None, None)
        async with self.database.connection() as connection:
            rows = await connection.fetch(_TIMELINE, lead_id, at, event_id, limit)
        return [
            {**dict(row), "event_id": str(row["event_id"]), "content": msgspec.json.decode(row["content"])}
            for row in rows
        ]

    async def score(self, lead_id: str, as_of: datetime | None) -> ScoreAt | None:
        # One snapshot of the tables, so that counts, links and model version belong together.
        async with (
            self.database.pool.acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            return await self._score(connection, lead_id, as_of)

    async def _score(self, connection: Connection, lead_id: str, at: datetime | None) -> ScoreAt | None:
        as_of = at or self.clock.now()
        version = await connection.fetchval(
            "SELECT model_version FROM scoring.lead WHERE lead_id = $1", lead_id
        )
        if version is None:
            return None
        members = [
            row["identity"]
            for row in await connection.fetch(
                "SELECT identity FROM scoring.membership WHERE lead_id = $1 ORDER BY 1", lead_id
            )
        ]
        cut = await connection.fetchrow(
            "SELECT coalesce(max(cycle), 0) AS cycle, max(cut) AS cut"
            " FROM scoring.cut WHERE identity = ANY($1) AND (cut <= $2 OR cut IS NULL OR $2 IS NULL)",
            members,
            at,
        )
        counts = await connection.fetch(_COUNTS_AT, members, as_of, cut["cut"] if cut else None)
        facts = [_fact(row) for row in await connection.fetch(_TRAITS_AT, members, as_of)]
        emails = [key[2:] for key in members if key.startswith("e:")]
        result = score(
            [DayCount(r["signal"], r["day"], r["counted"], r["left_out"], r["last_at"]) for r in counts],
            derive_features(resolve_traits(facts), emails),
            await self.models.compiled(connection, version),
            as_of=as_of,
            cut=cut["cut"] if cut else None,
        )
        return ScoreAt(lead_id, result, cut["cycle"] if cut else 0, cut["cut"] if cut else None, members)


def _fact(row: Any) -> TraitFact:
    return TraitFact(row["name"], msgspec.json.decode(row["value"]), row["occurred_at"], str(row["event_id"]))
