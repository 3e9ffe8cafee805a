"""The timeline in Postgres, whose row belongs to whom, and its caches: counts and traits per owner."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import asyncpg
import msgspec

from services.scoring.adapters.jsonb import to_jsonb
from services.scoring.adapters.keys import FIRST_PERSON_KEY, identity_of, key_of
from services.scoring.domain.activity import Activity
from services.scoring.domain.identity import Identity
from services.scoring.usecases.ports import ConcurrentChange, Entry, Known
from shared.contracts.leads import RecentActivity
from shared.db.database import Transaction

# Whose is activity of the anonymous id `{a}` at (`{at}`, `{event}`): the latest link up to it, else the first
# link, else nobody's but its own. Of one event's two links the user id is taken (`u:` sorts after `e:`).
OWNER_OF = """coalesce(
    (SELECT l.b FROM scoring.link l
     WHERE l.joins AND l.a = {a} AND (l.occurred_at, l.event_id) <= ({at}, {event})
     ORDER BY l.occurred_at DESC, l.event_id DESC, l.b COLLATE "C" DESC LIMIT 1),
    (SELECT l.b FROM scoring.link l WHERE l.joins AND l.a = {a}
     ORDER BY l.occurred_at, l.event_id, l.b COLLATE "C" DESC LIMIT 1),
    {a})"""

_KNOWN = """
SELECT t.event_id, t.occurred_at, t.body_hash, t.anonymous, t.usr, t.email, t.owner,
    ARRAY(SELECT a FROM scoring.link l WHERE l.event_id = t.event_id
          UNION SELECT b FROM scoring.link l WHERE l.event_id = t.event_id ORDER BY 1) AS linked
FROM scoring.timeline t WHERE t.event_id = ANY($1::uuid[])
"""

# Whose is activity of anonymous ids of which some have links: those without are their own.
_LINKED = """
SELECT key FROM unnest($1::text[]) AS key
WHERE EXISTS (SELECT FROM scoring.link l WHERE l.joins AND l.a = key)
"""
_OWNERS = f"""
SELECT n.event_id, {OWNER_OF.format(a="n.a", at="n.at", event="n.event_id")} AS owner
FROM unnest($1::uuid[], $2::timestamptz[], $3::text[]) AS n (event_id, at, a)
"""

_COLUMNS = (
    "event_id", "occurred_at", "received_at", "body_hash", "source", "kind", "name", "anonymous", "usr",
    "email", "owner", "signals", "bot", "url", "content", "traits",
)  # fmt: skip
_REPLACE = f"""
UPDATE scoring.timeline SET ({", ".join(_COLUMNS[1:])}) = ({", ".join(f"${n}" for n in range(2, 17))})
WHERE event_id = $1
"""

_REOWN = f"""
UPDATE scoring.timeline t SET owner = o.now
FROM (
    SELECT r.event_id, r.owner AS before,
        {OWNER_OF.format(a="r.anonymous", at="r.occurred_at", event="r.event_id")} AS now
    FROM scoring.timeline r WHERE r.anonymous = ANY($1) AND r.usr IS NULL AND r.email IS NULL
) o
WHERE t.event_id = o.event_id AND o.now <> o.before
RETURNING o.before, o.now
"""

_ADD_COUNTS = """
INSERT INTO scoring.signal_count AS c (owner, signal, day, counted, last_at)
SELECT * FROM unnest($1::text[], $2::text[], $3::date[], $4::int[], $5::timestamptz[])
ON CONFLICT (owner, signal, day) DO UPDATE SET
    counted = c.counted + excluded.counted, last_at = greatest(c.last_at, excluded.last_at)
"""

RECOUNT = """
SELECT t.owner, s.signal, (t.occurred_at AT TIME ZONE 'UTC')::date AS day, count(*)::int AS counted,
    max(t.occurred_at) AS last_at
FROM scoring.timeline t CROSS JOIN LATERAL unnest(t.signals) AS s (signal)
"""

_REBUILD_COUNTS = f"""
INSERT INTO scoring.signal_count (owner, signal, day, counted, last_at)
{RECOUNT} WHERE t.owner = ANY($1) AND t.owner >= '{FIRST_PERSON_KEY}' GROUP BY 1, 2, 3
"""

_ADD_TRAITS = """
INSERT INTO scoring.trait AS t (owner, name, value, occurred_at, event_id)
SELECT * FROM unnest($1::text[], $2::text[], $3::jsonb[], $4::timestamptz[], $5::uuid[])
ON CONFLICT (owner, name) DO UPDATE SET
    value = excluded.value, occurred_at = excluded.occurred_at, event_id = excluded.event_id
WHERE (excluded.occurred_at, excluded.event_id) > (t.occurred_at, t.event_id)
"""

_REBUILD_TRAITS = """
INSERT INTO scoring.trait (owner, name, value, occurred_at, event_id)
SELECT DISTINCT ON (t.owner, e.key COLLATE "C") t.owner, e.key, e.value, t.occurred_at, t.event_id
FROM scoring.timeline t CROSS JOIN LATERAL jsonb_each(t.traits) AS e (key, value)
WHERE t.owner = ANY($1) AND t.traits IS NOT NULL
ORDER BY t.owner, e.key COLLATE "C", t.occurred_at DESC, t.event_id DESC
"""

_RECENT = """
SELECT lead.lead_id, r.event_id, r.kind, r.name, r.occurred_at, r.url
FROM unnest($1::text[]) AS lead (lead_id)
CROSS JOIN LATERAL (
    SELECT t.event_id, t.kind, t.name, t.occurred_at, t.url
    FROM scoring.membership m
    CROSS JOIN LATERAL (
        SELECT * FROM scoring.timeline t WHERE t.owner = m.identity AND t.bot IS NULL
        ORDER BY t.occurred_at DESC, t.event_id DESC LIMIT $2
    ) t
    WHERE m.lead_id = lead.lead_id
    ORDER BY t.occurred_at DESC, t.event_id DESC LIMIT $2
) r
ORDER BY lead.lead_id, r.occurred_at DESC, r.event_id DESC
"""


# Of the anonymous id, the user id and the e-mail that an activity names.
Keys = tuple[str | None, str | None, str | None]


def _key(kind: str, value: str | None) -> str | None:
    return f"{kind}:{value}" if value else None


@dataclass(frozen=True, slots=True)
class PostgresTimeline:
    """`usecases.ports.TimelineStore` inside one transaction."""

    tx: Transaction

    async def known(self, event_ids: Collection[str]) -> dict[str, Known]:
        rows = await self.tx.connection.fetch(_KNOWN, list(event_ids))
        return {
            str(r["event_id"]): Known(
                r["occurred_at"],
                r["body_hash"],
                tuple(
                    map(identity_of, sorted({r["anonymous"], r["usr"], r["email"], *r["linked"]} - {None}))
                ),
                identity_of(r["owner"]),
            )
            for r in rows
        }

    async def put(self, entries: Sequence[Entry], replaced: Collection[str]) -> dict[str, Identity]:
        keys = {entry.activity.event_id: _keys(entry.activity) for entry in entries}
        owners = await self._owners(entries, keys)
        ordered = sorted(entries, key=_event_id)
        rows = [_row(entry, keys[_event_id(entry)], owners[_event_id(entry)]) for entry in ordered]
        try:
            await self.tx.connection.copy_records_to_table(
                "timeline",
                schema_name="scoring",
                columns=_COLUMNS,
                records=[row for row in rows if row[0] not in replaced] if replaced else rows,
            )
        except asyncpg.UniqueViolationError as taken:
            raise ConcurrentChange("another batch has stored one of these events") from taken
        if replaced:
            await self.tx.connection.executemany(_REPLACE, [row for row in rows if row[0] in replaced])
        identities = {key: identity_of(key) for key in set(owners.values())}
        return {event_id: identities[owner] for event_id, owner in owners.items()}

    async def _owners(self, entries: Sequence[Entry], keys: Mapping[str, Keys]) -> dict[str, str]:
        """Return the key of each activity's owner, by event id."""
        owners = {
            event_id: str(user or email or anonymous) for event_id, (anonymous, user, email) in keys.items()
        }
        anonymous = {owner for owner in owners.values() if owner < FIRST_PERSON_KEY}
        if not anonymous:
            return owners
        linked = {row["key"] for row in await self.tx.connection.fetch(_LINKED, list(anonymous))}
        asked = [entry.activity for entry in entries if owners[_event_id(entry)] in linked]
        if asked:
            rows = await self.tx.connection.fetch(
                _OWNERS,
                [activity.event_id for activity in asked],
                [activity.occurred_at for activity in asked],
                [owners[activity.event_id] for activity in asked],
            )
            owners |= {str(row["event_id"]): row["owner"] for row in rows}
        return owners

    async def reown(self, anonymous: Collection[Identity]) -> set[Identity]:
        rows = await self.tx.connection.fetch(_REOWN, [key_of(identity) for identity in anonymous])
        return {identity_of(row[column]) for row in rows for column in ("before", "now")}

    async def add_counts(self, entries: Sequence[Entry], owners: Mapping[str, Identity]) -> None:
        counted: dict[tuple[str, str, date], tuple[int, datetime]] = {}
        for entry in entries:
            activity = entry.activity
            identity = owners[activity.event_id]
            if identity.kind == "anonymous":
                continue
            owner, day = key_of(identity), activity.occurred_at.astimezone(UTC).date()
            for signal in entry.signals:
                number, last = counted.get((owner, signal, day), (0, activity.occurred_at))
                counted[owner, signal, day] = number + 1, max(last, activity.occurred_at)
        rows = [(*key, *value) for key, value in sorted(counted.items())]
        if rows:
            await self.tx.connection.execute(_ADD_COUNTS, *(list(c) for c in zip(*rows, strict=True)))

    async def add_traits(self, entries: Sequence[Entry], owners: Mapping[str, Identity]) -> None:
        latest: dict[tuple[str, str], tuple[datetime, str, Any]] = {}
        telling = [entry.activity for entry in entries if entry.activity.traits]
        for activity in sorted(telling, key=lambda activity: activity.position):
            for name, value in activity.traits.items():
                place = key_of(owners[activity.event_id]), name
                latest[place] = activity.occurred_at, activity.event_id, value
        rows = [
            (*place, to_jsonb(v), at, event)
            for place, (at, event, v) in sorted(latest.items(), key=lambda i: i[0])
        ]
        if rows:
            await self.tx.connection.execute(_ADD_TRAITS, *(list(c) for c in zip(*rows, strict=True)))

    async def rebuild(self, owners: Collection[Identity]) -> None:
        keys = sorted(key_of(owner) for owner in owners)
        for table, fill in (("signal_count", _REBUILD_COUNTS), ("trait", _REBUILD_TRAITS)):
            await self.tx.connection.execute(f"DELETE FROM scoring.{table} WHERE owner = ANY($1)", keys)
            await self.tx.connection.execute(fill, keys)

    async def of_owners(self, owners: Collection[Identity]) -> list[tuple[Activity, tuple[str, ...]]]:
        rows = await self.tx.connection.fetch(
            "SELECT * FROM scoring.timeline WHERE owner = ANY($1)", [key_of(owner) for owner in owners]
        )
        return [(activity_of(row), tuple(row["signals"])) for row in rows]

    async def set_signals(self, signals: Mapping[str, tuple[str, ...]]) -> None:
        await self.tx.connection.execute(
            "UPDATE scoring.timeline t SET signals = string_to_array(n.signals, ',')"
            " FROM unnest($1::uuid[], $2::text[]) AS n (event_id, signals) WHERE t.event_id = n.event_id",
            list(signals),
            [",".join(names) for names in signals.values()],
        )

    async def owner_of(self, event_id: str) -> Identity | None:
        owner = await self.tx.connection.fetchval(
            "SELECT owner FROM scoring.timeline WHERE event_id = $1", event_id
        )
        return identity_of(owner) if owner else None

    async def recent(self, lead_ids: Collection[str], limit: int) -> dict[str, list[RecentActivity]]:
        found: dict[str, list[RecentActivity]] = defaultdict(list)
        for r in await self.tx.connection.fetch(_RECENT, list(lead_ids), limit):
            found[r["lead_id"]].append(
                RecentActivity(str(r["event_id"]), r["kind"], r["name"], r["occurred_at"], r["url"])
            )
        return found


def _event_id(entry: Entry) -> str:
    return entry.activity.event_id


def _keys(activity: Activity) -> Keys:
    return _key("a", activity.anonymous_id), _key("u", activity.user_id), _key("e", activity.email)


def _row(entry: Entry, keys: Keys, owner: str) -> tuple[Any, ...]:
    a = entry.activity
    return (
        a.event_id, a.occurred_at, a.received_at, a.body_hash, a.source, a.kind, a.name, *keys,
        owner, entry.signals, entry.bot, entry.url, to_jsonb(entry.content),
        to_jsonb(a.traits) if a.traits else None,
    )  # fmt: skip


def activity_of(row: asyncpg.Record) -> Activity:
    """Return a timeline row as the domain's activity; `previous_id` lives on in its links only."""
    content = msgspec.json.decode(row["content"])
    value = {name: row[name][2:] if row[name] else None for name in ("anonymous", "usr", "email")}
    return Activity(
        event_id=str(row["event_id"]),
        kind=row["kind"],
        name=row["name"],
        occurred_at=row["occurred_at"],
        received_at=row["received_at"],
        body_hash=row["body_hash"],
        source=row["source"],
        anonymous_id=value["anonymous"],
        user_id=value["usr"],
        email=value["email"],
        previous_id=content.get("previous_id"),
        path=content.get("path"),
        properties=content.get("properties", {}),
        traits=msgspec.json.decode(row["traits"]) if row["traits"] else {},
        bot=row["bot"] is not None,
    )
