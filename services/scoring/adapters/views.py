"""Scoring's part of the views over several services: status, reconciliation, a lead's page."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.scoring.adapters.keys import FIRST_PERSON_KEY
from services.scoring.adapters.postgres_reads import PostgresReads
from services.scoring.adapters.postgres_timeline import OWNER_OF, RECOUNT
from shared.bus.port import Bus
from shared.consumer.dead_letters import held_summary, list_letters
from shared.consumer.lag import lag
from shared.contracts.topics import ACTIVITY, HANDOFFS, consumer_group
from shared.db.database import Database
from shared.outbox.rows import backlog
from shared.runtime import Finding

SHOWN = 20  # problems named of one check; the rest is a number
LETTERS_AT_ONCE = 500

_STATUS = """
SELECT (SELECT count(*) FROM scoring.timeline) AS events,
    (SELECT count(*) FROM scoring.timeline WHERE bot IS NOT NULL) AS bot_events,
    (SELECT count(*) FROM scoring.lead) AS leads,
    (SELECT count(*) FROM scoring.lead WHERE contactable) AS contactable_leads,
    (SELECT count(*) FROM scoring.lead WHERE contactable AND enters) AS leads_over_threshold,
    (SELECT count(*) FROM scoring.redirect) AS merged_leads,
    (SELECT count(*) FROM scoring.identity WHERE hub_at IS NOT NULL) AS hubs_to_review,
    (SELECT max(version) FROM scoring.model) AS model_version,
    (SELECT count(*) FROM scoring.lead WHERE model_version < (SELECT max(version) FROM scoring.model))
        AS leads_to_rescore,
    (SELECT max(statement_timestamp() - due_at) FROM scoring.decay_timer
        WHERE due_at <= statement_timestamp()) AS decay_lag
"""

# name -> (how many are checked, what contradicts the promise; one text column)
_CHECKS: Mapping[str, tuple[str, str]] = {
    "every event counts for its owner by time": (
        "SELECT count(*) FROM scoring.timeline",
        f"""SELECT 'event ' || t.event_id FROM scoring.timeline t
            WHERE t.owner <> coalesce(t.usr, t.email,
                {OWNER_OF.format(a="t.anonymous", at="t.occurred_at", event="t.event_id")})""",
    ),
    "every event belongs to exactly one lead": (
        "SELECT count(*) FROM scoring.timeline",
        """SELECT 'event ' || t.event_id FROM scoring.timeline t
            WHERE NOT EXISTS (SELECT FROM scoring.membership m WHERE m.identity = t.owner)""",
    ),
    "counts equal a recount of the timeline": (
        "SELECT count(*) FROM scoring.signal_count",
        f"""SELECT 'count of ' || coalesce(c.signal, r.signal) || ' on ' || coalesce(c.day, r.day)
            FROM scoring.signal_count c
            FULL JOIN ({RECOUNT} WHERE t.owner >= '{FIRST_PERSON_KEY}' GROUP BY 1, 2, 3) r
                ON (r.owner, r.signal, r.day) = (c.owner, c.signal, c.day)
            WHERE (c.counted, c.last_at) IS DISTINCT FROM (r.counted, r.last_at)""",
    ),
    "traits are the latest in the timeline": (
        "SELECT count(*) FROM scoring.trait",
        """SELECT 'trait ' || coalesce(c.name, r.name)
            FROM scoring.trait c
            FULL JOIN (
                SELECT DISTINCT ON (t.owner, e.key COLLATE "C") t.owner, e.key AS name, e.value, t.event_id
                FROM scoring.timeline t CROSS JOIN LATERAL jsonb_each(t.traits) AS e (key, value)
                WHERE t.traits IS NOT NULL
                ORDER BY t.owner, e.key COLLATE "C", t.occurred_at DESC, t.event_id DESC
            ) r ON (r.owner, r.name) = (c.owner, c.name)
            WHERE (c.value, c.event_id) IS DISTINCT FROM (r.value, r.event_id)""",
    ),
    "linked persons are one lead": (
        "SELECT count(*) FROM scoring.link WHERE joins AND a >= 'e:'",
        """SELECT 'link of event ' || l.event_id FROM scoring.link l
            LEFT JOIN scoring.membership a ON a.identity = l.a
            LEFT JOIN scoring.membership b ON b.identity = l.b
            WHERE l.joins AND l.a >= 'e:' AND (a.lead_id = b.lead_id) IS NOT TRUE""",
    ),
    "members belong to living leads": (
        "SELECT count(*) FROM scoring.membership",
        """SELECT 'a member of ' || m.lead_id FROM scoring.membership m
            WHERE NOT EXISTS (SELECT FROM scoring.lead l WHERE l.lead_id = m.lead_id)
                OR EXISTS (SELECT FROM scoring.redirect r WHERE r.lead_id = m.lead_id)""",
    ),
    "redirects end in a living lead": (
        "SELECT count(*) FROM scoring.redirect",
        """WITH RECURSIVE path (asked, lead_id) AS (
                SELECT lead_id, survivor_id FROM scoring.redirect
                UNION
                SELECT p.asked, r.survivor_id FROM path p JOIN scoring.redirect r ON r.lead_id = p.lead_id
            )
            SELECT 'redirect ' || r.lead_id FROM scoring.redirect r
            WHERE NOT EXISTS (
                SELECT FROM path p JOIN scoring.lead l ON l.lead_id = p.lead_id WHERE p.asked = r.lead_id)""",
    ),
    "every lead with a contact has been told to routing": (
        "SELECT count(*) FROM scoring.lead WHERE contactable",
        """SELECT 'lead ' || l.lead_id FROM scoring.lead l
            WHERE (l.contactable OR EXISTS (
                    SELECT FROM scoring.membership m WHERE m.lead_id = l.lead_id AND m.identity LIKE 'e:%'))
                AND NOT EXISTS (SELECT FROM scoring.snapshot s WHERE s.lead_id = l.lead_id)""",
    ),
    "routing has been told the level at which each lead stands": (
        "SELECT count(*) FROM scoring.snapshot",
        """SELECT 'lead ' || l.lead_id FROM scoring.snapshot s JOIN scoring.lead l ON l.lead_id = s.lead_id
            WHERE ((s.told ->> 'enters')::boolean, (s.told ->> 'holds')::boolean)
                <> (l.contactable AND l.enters, l.contactable AND l.holds)""",
    ),
}


@dataclass(frozen=True, slots=True)
class ScoringViews:
    """`shared.runtime.Views` of scoring, and what the reconciliation across services asks it."""

    database: Database
    bus: Bus
    reads: PostgresReads

    async def status(self) -> Mapping[str, Any]:
        """Return counts, lags and ages."""
        async with self.database.connection() as connection:
            row = await connection.fetchrow(_STATUS)
        held, oldest = await held_summary(self.database)
        found = dict(row) if row else {}
        late = found.pop("decay_lag", None)
        unsent, age = await backlog(self.database)
        return {
            **found,
            "lag": await lag(
                self.database, self.bus, consumer_group("scoring"), [ACTIVITY.name, HANDOFFS.name]
            ),
            "outbox_unsent": unsent,
            "outbox_oldest_seconds": age,
            "decay_lag_seconds": late.total_seconds() if late else 0.0,
            "dead_letters": held,
            "oldest_dead_letter": oldest,
        }

    async def reconcile(self) -> Sequence[Finding]:
        """Check caches, memberships, redirects and snapshots against the timeline and the links."""
        findings = []
        # Each check is one statement, so it sees one state of the tables while work goes on.
        async with self.database.connection() as connection:
            for check, (counted, contradictions) in _CHECKS.items():
                checked = await connection.fetchval(counted)
                rows = await connection.fetch(f"SELECT * FROM ({contradictions}) found LIMIT {SHOWN}")
                findings.append(Finding(check, checked, [row[0] for row in rows]))
        return findings

    async def lead(self, lead_id: str) -> Mapping[str, Any] | None:
        """Return scoring's part of a lead's page: standing, identities, traits, last activities."""
        survivor = await self.reads.survivor(lead_id)
        lead = await self.reads.lead(survivor) if survivor else None
        if lead is None or survivor is None:
            return None
        merged = {"merged_into": survivor} if survivor != lead_id else {}
        return {**merged, **lead, "timeline": await self.reads.timeline(survivor, None, 20)}

    async def missing_events(self, event_ids: Collection[str]) -> list[str]:
        """Return those of `event_ids` that are neither in the timeline nor among the dead letters."""
        async with self.database.connection() as connection:
            rows = await connection.fetch(
                "SELECT id FROM unnest($1::uuid[]) AS id"
                " WHERE NOT EXISTS (SELECT FROM scoring.timeline t WHERE t.event_id = id)",
                list(event_ids),
            )
        missing = {str(row["id"]) for row in rows}
        after = 0
        while missing:
            letters = await list_letters(self.database, status=None, after=after, limit=LETTERS_AT_ONCE)
            if not letters:
                break
            after = letters[-1].id
            for letter in letters:
                if letter.topic == ACTIVITY.name:
                    missing.discard(dict(letter.headers).get("ce_id", b"").decode(errors="replace"))
        return sorted(missing)

    async def published_leads(self, after: str | None, limit: int) -> list[tuple[str, int, int]]:
        """Return (lead id, revision, cycle) of the latest snapshots after `after`, in order of lead id."""
        async with self.database.connection() as connection:
            rows = await connection.fetch(
                "SELECT lead_id, revision, (told->>'cycle')::int AS cycle FROM scoring.snapshot"
                " WHERE $1::text IS NULL OR lead_id > $1 ORDER BY lead_id LIMIT $2",
                after,
                limit,
            )
        return [(row["lead_id"], row["revision"], row["cycle"]) for row in rows]
