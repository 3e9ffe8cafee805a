"""Identities, links, hub marks, never-link edges in Postgres; `link.joins`: the link has effect."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from services.scoring.adapters.keys import FIRST_PERSON_KEY, identity_of, key_of
from services.scoring.domain.activity import edges_of
from services.scoring.domain.identity import Identity, Pair, is_role_address
from services.scoring.usecases.ports import Entry
from shared.db.database import Transaction

# DO UPDATE … WHERE false locks a row that exists without writing it; arrays are sorted, so are the locks.
_LOCK = """
INSERT INTO scoring.identity AS i (identity, created_at)
SELECT key, $2 FROM unnest($1::text[]) AS key
ON CONFLICT (identity) DO UPDATE SET created_at = i.created_at WHERE false
"""

_NEW_PAIRS = """
SELECT DISTINCT p.a, p.b FROM unnest($1::text[], $2::text[]) AS p (a, b)
WHERE NOT EXISTS (SELECT FROM scoring.link l WHERE l.a = p.a AND l.b = p.b)
"""

# A mark that exists is older than this statement, so a link stored now comes after it and never joins.
_ADD_LINKS = """
INSERT INTO scoring.link (a, b, event_id, occurred_at, linked_at, joins)
SELECT n.a, n.b, n.event_id, n.occurred_at, statement_timestamp(),
    n.may_join AND ia.hub_at IS NULL AND ib.hub_at IS NULL AND never.a IS NULL
FROM unnest($1::text[], $2::text[], $3::uuid[], $4::timestamptz[], $5::boolean[])
    AS n (a, b, event_id, occurred_at, may_join)
JOIN scoring.identity ia ON ia.identity = n.a
JOIN scoring.identity ib ON ib.identity = n.b
LEFT JOIN scoring.never_link never ON never.a = n.a AND never.b = n.b
ON CONFLICT (a, b, event_id) DO NOTHING
"""

_MARK_HUBS = """
UPDATE scoring.identity i SET hub_at = statement_timestamp()
FROM (
    SELECT key, count(DISTINCT n.other) AS neighbours
    FROM unnest($1::text[]) AS key
    CROSS JOIN LATERAL (
        SELECT b AS other FROM scoring.link WHERE a = key
        UNION
        SELECT a FROM scoring.link WHERE b = key
    ) n
    GROUP BY key
) counted
WHERE i.identity = counted.key AND i.hub_at IS NULL AND counted.neighbours > $2
"""

_JOINED = """
SELECT a, b FROM scoring.link WHERE joins AND a >= $2 AND a = ANY($1)
UNION
SELECT a, b FROM scoring.link WHERE joins AND a >= $2 AND b = ANY($1)
"""

_FIRST_OWNERS = """
SELECT key, (
    SELECT l.b FROM scoring.link l WHERE l.joins AND l.a = key
    ORDER BY l.occurred_at, l.event_id, l.b COLLATE "C" DESC LIMIT 1
) AS owner
FROM unnest($1::text[]) AS key
"""

_NEVER = """
WITH kept AS (
    INSERT INTO scoring.never_link (a, b, at, actor)
    SELECT p.a, p.b, statement_timestamp(), $3 FROM unnest($1::text[], $2::text[]) AS p (a, b)
    ON CONFLICT (a, b) DO NOTHING
)
UPDATE scoring.link l SET joins = false FROM unnest($1::text[], $2::text[]) AS p (a, b)
WHERE l.a = p.a AND l.b = p.b AND l.joins
"""

_ALLOW = """
WITH dropped AS (
    DELETE FROM scoring.never_link n USING unnest($1::text[], $2::text[]) AS p (a, b)
    WHERE n.a = p.a AND n.b = p.b RETURNING n.a, n.b
)
UPDATE scoring.link l
SET joins = l.linked_at <= coalesce(ia.hub_at, 'infinity') AND l.linked_at <= coalesce(ib.hub_at, 'infinity')
FROM dropped d
JOIN scoring.identity ia ON ia.identity = d.a
JOIN scoring.identity ib ON ib.identity = d.b
WHERE l.a = d.a AND l.b = d.b AND NOT (d.a = ANY($3) OR d.b = ANY($3))
"""

_BY_HAND = """
INSERT INTO scoring.link (a, b, event_id, occurred_at, linked_at, joins)
VALUES ($1, $2, $3, statement_timestamp(), statement_timestamp(), true)
"""


@dataclass(frozen=True, slots=True)
class PostgresIdentities:
    """`usecases.ports.IdentityStore` inside one transaction."""

    tx: Transaction

    async def lock(self, identities: Collection[Identity], now: datetime) -> None:
        await self.tx.connection.execute(_LOCK, [key_of(identity) for identity in sorted(identities)], now)

    async def forget_links(self, event_ids: Collection[str]) -> None:
        await self.tx.connection.execute(
            "DELETE FROM scoring.link WHERE event_id = ANY($1::uuid[])", list(event_ids)
        )

    async def add_links(self, entries: Sequence[Entry]) -> set[Identity]:
        rows = [
            (key_of(a), key_of(b), e.activity.event_id, e.activity.occurred_at, _may_join(a, b))
            for e in entries
            for a, b in edges_of(e.activity)
        ]
        if not rows:
            return set()
        a, b, events, instants, joins = (list(column) for column in zip(*rows, strict=True))
        fresh = await self.tx.connection.fetch(_NEW_PAIRS, a, b)
        await self.tx.connection.execute(_ADD_LINKS, a, b, events, instants, joins)
        return {identity_of(row[end]) for row in fresh for end in ("a", "b")}

    async def mark_hubs(self, identities: Collection[Identity], limit: int) -> None:
        await self.tx.connection.execute(_MARK_HUBS, [key_of(identity) for identity in identities], limit)

    async def joined_pairs(self, identities: Collection[Identity]) -> list[Pair]:
        keys = [key_of(identity) for identity in identities]
        rows = await self.tx.connection.fetch(_JOINED, keys, FIRST_PERSON_KEY)
        return [(identity_of(row["a"]), identity_of(row["b"])) for row in rows]

    async def first_owners(self, anonymous: Collection[Identity]) -> dict[Identity, Identity]:
        rows = await self.tx.connection.fetch(_FIRST_OWNERS, [key_of(identity) for identity in anonymous])
        return {identity_of(r["key"]): identity_of(r["owner"]) for r in rows if r["owner"] is not None}

    async def never_link(self, pairs: Collection[Pair], actor: str) -> None:
        await self.tx.connection.execute(_NEVER, *_columns(pairs), actor)

    async def allow_link(self, pairs: Collection[Pair]) -> None:
        roles = [key_of(end) for pair in pairs for end in pair if is_role_address(end)]
        await self.tx.connection.execute(_ALLOW, *_columns(pairs), roles)

    async def link_by_hand(self, pair: Pair, event_id: str) -> None:
        await self.tx.connection.execute(_BY_HAND, key_of(pair[0]), key_of(pair[1]), event_id)

    async def anonymous_of(self, identities: Collection[Identity]) -> set[Identity]:
        rows = await self.tx.connection.fetch(
            "SELECT DISTINCT a FROM scoring.link WHERE b = ANY($1) AND a < $2",
            [key_of(identity) for identity in identities],
            FIRST_PERSON_KEY,
        )
        return {identity_of(row["a"]) for row in rows}


def _may_join(a: Identity, b: Identity) -> bool:
    return not (is_role_address(a) or is_role_address(b))


def _columns(pairs: Collection[Pair]) -> tuple[list[str], list[str]]:
    ordered = sorted(pairs)
    return [key_of(a) for a, _ in ordered], [key_of(b) for _, b in ordered]
