"""What scoring tells and shows: standings, snapshots with their events, merges, splits, decay timers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime

import msgspec

from services.scoring.adapters.jsonb import to_jsonb
from services.scoring.usecases.ports import Announcement, Merge, Split, Standing
from shared.contracts import leads
from shared.contracts.topics import LEADS
from shared.db.database import Transaction
from shared.outbox.append import OutboxEvent, append

_STAND = """
UPDATE scoring.lead l SET contactable = n.contactable, email = n.email, company_domain = n.company_domain,
    fit = n.fit, engagement = n.engagement, grade = n.grade, enters = n.enters, holds = n.holds,
    needs_data = n.needs_data, cycle = n.cycle, first_seen_at = n.first_seen_at,
    last_seen_at = n.last_seen_at, entered_event_id = n.entered_event_id, scored_at = $15
FROM unnest($1::text[], $2::boolean[], $3::text[], $4::text[], $5::int[], $6::int[], $7::text[],
    $8::boolean[], $9::boolean[], $10::boolean[], $11::int[], $12::timestamptz[], $13::timestamptz[],
    $14::uuid[])
    AS n (lead_id, contactable, email, company_domain, fit, engagement, grade, enters, holds, needs_data,
          cycle, first_seen_at, last_seen_at, entered_event_id)
WHERE l.lead_id = n.lead_id
"""

_KEEP = """
WITH told AS (
    SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::timestamptz[], $5::bytea[], $6::jsonb[])
        AS n (lead_id, epoch, revision, published_at, payload, told)
), raised AS (
    UPDATE scoring.lead l SET revision = told.revision FROM told WHERE l.lead_id = told.lead_id
)
INSERT INTO scoring.snapshot (lead_id, epoch, revision, published_at, payload, told) SELECT * FROM told
ON CONFLICT (lead_id) DO UPDATE SET epoch = excluded.epoch, revision = excluded.revision,
    published_at = excluded.published_at, payload = excluded.payload, told = excluded.told
"""

_ARM = """
INSERT INTO scoring.decay_timer AS t (lead_id, due_at) SELECT * FROM unnest($1::text[], $2::timestamptz[])
ON CONFLICT (lead_id) DO UPDATE SET due_at = excluded.due_at WHERE t.due_at IS DISTINCT FROM excluded.due_at
"""


def _event(
    kind: str, lead_id: str, order: tuple[int, int], at: datetime, payload: msgspec.Struct
) -> OutboxEvent:
    # (epoch, revision) is unique per lead, so the id is the same for whoever recomputes it.
    event_id = f"{lead_id}-{order[0]}-{order[1]}-{kind.split('.')[-2]}"
    return OutboxEvent(event_id, LEADS.name, kind, lead_id, at, msgspec.json.encode(payload))


@dataclass(frozen=True, slots=True)
class PostgresSnapshots:
    """The half of `usecases.ports.LeadStore` that writes what others see."""

    tx: Transaction

    async def stand(self, standings: Sequence[Standing], now: datetime) -> None:
        names = [field.name for field in fields(Standing)]
        columns = [[getattr(standing, name) for standing in standings] for name in names]
        await self.tx.connection.execute(_STAND, *columns, now)

    async def announce(self, announcements: Sequence[Announcement]) -> None:
        snapshots = [announcement.snapshot for announcement in announcements]
        events = [_event(leads.SCORED, s.lead_id, (s.epoch, s.revision), s.as_of, s) for s in snapshots]
        await self.tx.connection.execute(
            _KEEP,
            [s.lead_id for s in snapshots],
            [s.epoch for s in snapshots],
            [s.revision for s in snapshots],
            [s.as_of for s in snapshots],
            [event.payload for event in events],
            [to_jsonb(a.told) for a in announcements],
        )
        await append(self.tx, events)

    async def announce_merges(
        self, merges: Sequence[tuple[Merge, int]], *, epoch: int, now: datetime
    ) -> None:
        payloads = [
            leads.LeadMerged(merge.loser, merge.survivor, epoch, revision, now) for merge, revision in merges
        ]
        await append(
            self.tx, [_event(leads.MERGED, p.lead_id, (epoch, p.revision), now, p) for p in payloads]
        )

    async def announce_split(
        self, split: Split, *, revision: int, handoff_goes_to: str, epoch: int, now: datetime
    ) -> None:
        payload = leads.LeadUnmerged(split.lead_id, split.new_lead_id, handoff_goes_to, epoch, revision, now)
        await self.tx.connection.execute(
            "UPDATE scoring.lead SET revision = $2 WHERE lead_id = $1", split.lead_id, revision
        )
        await append(self.tx, [_event(leads.UNMERGED, split.lead_id, (epoch, revision), now, payload)])

    async def arm(self, due: Mapping[str, datetime | None]) -> None:
        await self.tx.connection.execute(_ARM, list(due), list(due.values()))
