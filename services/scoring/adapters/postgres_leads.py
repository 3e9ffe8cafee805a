"""Leads in Postgres: locks, memberships, redirects, cuts and what a lead's score is computed from."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg
import msgspec

from services.scoring.adapters.keys import FIRST_PERSON_KEY, identity_of, key_of
from services.scoring.adapters.postgres_snapshots import PostgresSnapshots
from services.scoring.adapters.postgres_timeline import RECOUNT
from services.scoring.domain.features import TraitFact
from services.scoring.domain.identity import Identity
from services.scoring.domain.signals import DayCount, utc_day
from services.scoring.domain.snapshot import Told
from services.scoring.usecases.ports import Inputs, LeadRow, Locked, Merge

# Two index scans; one condition with OR would read the whole table.
_BELONGING = """
SELECT identity, lead_id FROM scoring.membership WHERE lead_id = ANY($1)
UNION
SELECT identity, lead_id FROM scoring.membership WHERE identity = ANY($2)
"""

_LOCK = """
SELECT l.lead_id, l.created_at, l.revision, l.model_version, l.merged_ids, l.entered_event_id,
    EXISTS (SELECT FROM scoring.snapshot s WHERE s.lead_id = l.lead_id) AS published
FROM scoring.lead l WHERE l.lead_id = ANY($1) ORDER BY l.lead_id FOR UPDATE OF l
"""

_SURVIVORS = """
WITH RECURSIVE path (asked, lead_id) AS (
    SELECT id, id FROM unnest($1::text[]) AS id
    UNION ALL
    SELECT p.asked, r.survivor_id FROM path p JOIN scoring.redirect r ON r.lead_id = p.lead_id
)
SELECT asked, lead_id FROM path p
WHERE NOT EXISTS (SELECT FROM scoring.redirect r WHERE r.lead_id = p.lead_id)
"""

_REDIRECT = """
WITH gone AS (
    SELECT n.loser, n.survivor, l.merged_ids, l.entered_event_id,
        EXISTS (SELECT FROM scoring.snapshot s WHERE s.lead_id = n.loser) AS published
    FROM unnest($1::text[], $2::text[]) AS n (loser, survivor)
    JOIN scoring.lead l ON l.lead_id = n.loser
), told AS (
    SELECT survivor, array_agg(DISTINCT id ORDER BY id) AS ids
    FROM (
        SELECT survivor, loser AS id FROM gone WHERE published
        UNION ALL
        SELECT survivor, unnest(merged_ids) FROM gone
    ) every GROUP BY survivor
), redirected AS (
    INSERT INTO scoring.redirect (lead_id, survivor_id, at) SELECT loser, survivor, $3 FROM gone
)
UPDATE scoring.lead l SET
    merged_ids = ARRAY(SELECT DISTINCT unnest(l.merged_ids || told.ids) ORDER BY 1),
    entered_event_id = coalesce(l.entered_event_id, (
        SELECT g.entered_event_id FROM gone g WHERE g.survivor = l.lead_id AND g.entered_event_id IS NOT NULL
        ORDER BY g.loser LIMIT 1))
FROM told WHERE l.lead_id = told.survivor
"""

# A lead that is known by phone alone may have been cut; whoever absorbs its visitor takes the cut over.
_ABSORB = """
WITH gone AS (
    DELETE FROM scoring.membership m USING unnest($1::text[], $2::text[]) AS n (leaf, owner)
    WHERE m.identity = n.leaf RETURNING n.leaf, n.owner
)
INSERT INTO scoring.cut AS c (identity, cycle, cut)
SELECT g.owner, l.cycle, max(l.cut)
FROM gone g JOIN scoring.cut l ON l.identity = g.leaf GROUP BY g.owner, l.cycle
ON CONFLICT (identity, cycle) DO UPDATE SET cut = greatest(c.cut, excluded.cut)
"""

_SET_CUTS = """
INSERT INTO scoring.cut AS c (identity, cycle, cut)
SELECT * FROM unnest($1::text[], $2::int[], $3::timestamptz[])
ON CONFLICT (identity, cycle) DO UPDATE SET cut = greatest(c.cut, excluded.cut)
"""

# What `Assessment.contactable` may find, and what routing has heard of: the rest needs no score.
_TELLABLE = """
SELECT m.lead_id FROM scoring.membership m
WHERE m.lead_id = ANY($1) AND (m.identity LIKE 'e:%' OR EXISTS (
    SELECT FROM scoring.trait t WHERE t.owner = m.identity AND t.name = 'phone'))
UNION
SELECT s.lead_id FROM scoring.snapshot s WHERE s.lead_id = ANY($1)
"""

_LEADS = """
SELECT l.lead_id, l.revision, l.merged_ids, l.entered_event_id, s.told::text AS told,
    coalesce(c.cycle, 0) AS cycle, c.cut, seen.first_at, seen.last_at
FROM scoring.lead l
LEFT JOIN scoring.snapshot s ON s.lead_id = l.lead_id
LEFT JOIN LATERAL (
    SELECT max(c.cycle) AS cycle, max(c.cut) AS cut
    FROM scoring.membership m JOIN scoring.cut c ON c.identity = m.identity WHERE m.lead_id = l.lead_id
) c ON true
LEFT JOIN LATERAL (
    SELECT min(e.first_at) AS first_at, max(e.last_at) AS last_at
    FROM scoring.membership m
    CROSS JOIN LATERAL (
        SELECT (SELECT t.occurred_at FROM scoring.timeline t WHERE t.owner = m.identity
                ORDER BY t.occurred_at, t.event_id LIMIT 1) AS first_at,
            (SELECT t.occurred_at FROM scoring.timeline t WHERE t.owner = m.identity
             ORDER BY t.occurred_at DESC, t.event_id DESC LIMIT 1) AS last_at
    ) e
    WHERE m.lead_id = l.lead_id
) seen ON true
WHERE l.lead_id = ANY($1)
"""

# No counts are kept of an anonymous id that nobody owns: hardly any can be contacted, and so needs a score.
_COUNTS = f"""
SELECT m.lead_id, c.signal, c.day, c.counted, c.last_at
FROM scoring.membership m JOIN scoring.signal_count c ON c.owner = m.identity WHERE m.lead_id = ANY($1)
UNION ALL
SELECT m.lead_id, r.signal, r.day, r.counted, r.last_at
FROM scoring.membership m
CROSS JOIN LATERAL ({RECOUNT} WHERE t.owner = m.identity GROUP BY 1, 2, 3) r
WHERE m.lead_id = ANY($1) AND m.identity < '{FIRST_PERSON_KEY}'
"""

_TRAITS = """
SELECT m.lead_id, t.name, t.value::text AS value, t.occurred_at, t.event_id
FROM scoring.membership m JOIN scoring.trait t ON t.owner = m.identity WHERE m.lead_id = ANY($1)
"""

# The cut's own day is split at the cut: days are too coarse for it.
_CUT_DAYS = """
SELECT n.lead_id, s.signal, n.day, t.occurred_at <= n.cut AS left_out, count(*)::int AS counted,
    max(t.occurred_at) AS last_at
FROM unnest($1::text[], $2::timestamptz[], $3::date[]) AS n (lead_id, cut, day)
JOIN scoring.membership m ON m.lead_id = n.lead_id
JOIN scoring.timeline t ON t.owner = m.identity
    AND t.occurred_at >= n.day::timestamp AT TIME ZONE 'UTC'
    AND t.occurred_at < (n.day + 1)::timestamp AT TIME ZONE 'UTC'
CROSS JOIN LATERAL unnest(t.signals) AS s (signal)
GROUP BY 1, 2, 3, 4
"""

_told = msgspec.json.Decoder(Told)


@dataclass(frozen=True, slots=True)
class PostgresLeads(PostgresSnapshots):
    """`usecases.ports.LeadStore` inside one transaction; snapshots and timers are in the class above."""

    async def lock(self, identities: Collection[Identity], lead_ids: Collection[str] = ()) -> Locked:
        connection = self.tx.connection
        keys = [key_of(identity) for identity in identities]
        wanted = set(lead_ids)
        wanted |= {r["lead_id"] for r in await connection.fetch(_BELONGING, [], keys)}
        while True:
            # Who moved to a lead that is not locked yet makes us let go and lock all anew, in order.
            attempt = connection.transaction()
            await attempt.start()
            rows = await connection.fetch(_LOCK, list(wanted))
            belonging = await connection.fetch(_BELONGING, list(wanted), keys)
            moved = {r["lead_id"] for r in belonging} - wanted
            if not moved:
                await attempt.commit()
                break
            await attempt.rollback()
            wanted |= moved
        lead_of = {identity_of(r["identity"]): str(r["lead_id"]) for r in belonging}
        return Locked({r["lead_id"]: _lead(r) for r in rows}, lead_of, set(identities) - lead_of.keys())

    async def lock_idle(self, lead_ids: Collection[str]) -> list[str]:
        rows = await self.tx.connection.fetch(
            "SELECT lead_id FROM scoring.lead WHERE lead_id = ANY($1)"
            " ORDER BY lead_id FOR UPDATE SKIP LOCKED",
            list(lead_ids),
        )
        return [row["lead_id"] for row in rows]

    async def create(self, lead_ids: Sequence[str], now: datetime, model_version: int) -> None:
        await self.tx.connection.execute(
            "INSERT INTO scoring.lead (lead_id, created_at, model_version)"
            " SELECT id, $2, $3 FROM unnest($1::text[]) AS id",
            list(lead_ids),
            now,
            model_version,
        )

    async def move(self, lead_of: Mapping[Identity, str], leaves: Mapping[Identity, Identity]) -> None:
        await self.tx.connection.execute(
            "INSERT INTO scoring.membership (identity, lead_id) SELECT * FROM unnest($1::text[], $2::text[])"
            " ON CONFLICT (identity) DO UPDATE SET lead_id = excluded.lead_id",
            [key_of(identity) for identity in lead_of],
            list(lead_of.values()),
        )
        if leaves:
            await self.tx.connection.execute(
                _ABSORB, [key_of(leaf) for leaf in leaves], [key_of(owner) for owner in leaves.values()]
            )

    async def redirect(self, merges: Sequence[Merge], now: datetime) -> None:
        losers = [merge.loser for merge in merges]
        await self.tx.connection.execute(_REDIRECT, losers, [merge.survivor for merge in merges], now)
        for table in ("decay_timer", "snapshot", "lead"):
            await self.tx.connection.execute(f"DELETE FROM scoring.{table} WHERE lead_id = ANY($1)", losers)

    async def survivors(self, lead_ids: Collection[str]) -> dict[str, str]:
        rows = await self.tx.connection.fetch(_SURVIVORS, list(lead_ids))
        return {row["asked"]: row["lead_id"] for row in rows}

    async def belonging(self, identities: Collection[Identity]) -> set[Identity]:
        rows = await self.tx.connection.fetch(_BELONGING, [], [key_of(identity) for identity in identities])
        return {identity_of(row["identity"]) for row in rows}

    async def members(self, lead_id: str) -> frozenset[Identity]:
        rows = await self.tx.connection.fetch(
            "SELECT identity FROM scoring.membership WHERE lead_id = $1", lead_id
        )
        return frozenset(identity_of(row["identity"]) for row in rows)

    async def set_model_version(self, lead_ids: Collection[str], version: int) -> None:
        await self.tx.connection.execute(
            "UPDATE scoring.lead SET model_version = $2 WHERE lead_id = ANY($1)", list(lead_ids), version
        )

    async def set_cuts(self, cuts: Mapping[tuple[Identity, int], datetime | None]) -> None:
        ordered = sorted(cuts)
        await self.tx.connection.execute(
            _SET_CUTS,
            [key_of(identity) for identity, _ in ordered],
            [cycle for _, cycle in ordered],
            [cuts[key] for key in ordered],
        )

    async def tellable(self, lead_ids: Collection[str]) -> list[str]:
        rows = await self.tx.connection.fetch(_TELLABLE, list(lead_ids))
        return [row["lead_id"] for row in rows]

    async def inputs(self, lead_ids: Collection[str]) -> list[Inputs]:
        connection, ids = self.tx.connection, list(lead_ids)
        leads = await connection.fetch(_LEADS, ids)
        members: dict[str, set[Identity]] = defaultdict(set)
        for r in await connection.fetch(_BELONGING, ids, []):
            members[r["lead_id"]].add(identity_of(r["identity"]))
        traits: dict[str, list[TraitFact]] = defaultdict(list)
        for r in await connection.fetch(_TRAITS, ids):
            value = msgspec.json.decode(r["value"])
            traits[r["lead_id"]].append(TraitFact(r["name"], value, r["occurred_at"], str(r["event_id"])))
        counts = await self._counts(ids, {r["lead_id"]: r["cut"] for r in leads if r["cut"] is not None})
        return [
            _inputs(r, members[r["lead_id"]], counts.get(r["lead_id"], []), traits[r["lead_id"]])
            for r in leads
        ]

    async def _counts(self, ids: list[str], cuts: Mapping[str, datetime]) -> dict[str, list[DayCount]]:
        found: dict[str, list[DayCount]] = defaultdict(list)
        cut_days = {lead_id: utc_day(cut) for lead_id, cut in cuts.items()}
        for r in await self.tx.connection.fetch(_COUNTS, ids):
            if cut_days.get(r["lead_id"]) != r["day"]:
                found[r["lead_id"]].append(
                    DayCount(r["signal"], r["day"], r["counted"], last_at=r["last_at"])
                )
        if cuts:
            columns = list(cuts), list(cuts.values()), list(cut_days.values())
            for r in await self.tx.connection.fetch(_CUT_DAYS, *columns):
                found[r["lead_id"]].append(
                    DayCount(r["signal"], r["day"], r["counted"], r["left_out"], r["last_at"])
                )
        return found


def _lead(row: asyncpg.Record) -> LeadRow:
    return LeadRow(
        row["lead_id"],
        row["created_at"],
        row["revision"],
        row["model_version"],
        tuple(row["merged_ids"]),
        row["published"],
        str(row["entered_event_id"]) if row["entered_event_id"] else None,
    )


def _inputs(
    row: asyncpg.Record, members: set[Identity], counts: list[DayCount], traits: list[TraitFact]
) -> Inputs:
    return Inputs(
        lead_id=row["lead_id"],
        members=frozenset(members),
        counts=tuple(counts),
        traits=tuple(traits),
        cycle=row["cycle"],
        cut=row["cut"],
        revision=row["revision"],
        merged_ids=tuple(row["merged_ids"]),
        told=_told.decode(row["told"]) if row["told"] else None,
        first_seen_at=row["first_at"],
        last_seen_at=row["last_at"],
        entered_event_id=str(row["entered_event_id"]) if row["entered_event_id"] else None,
    )
