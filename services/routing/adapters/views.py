"""Routing's part of the pages that show several services: status, reconciliation, a lead's page."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from services.routing.adapters.postgres_reads import PostgresReads
from services.routing.adapters.reconcile import reconcile
from shared.bus.port import Bus
from shared.consumer.lag import lag
from shared.contracts.topics import LEADS, consumer_group
from shared.db.database import Database
from shared.outbox.rows import backlog
from shared.runtime import Finding

STATUS = """
SELECT
    (SELECT coalesce(jsonb_object_agg(state, n), '{}') FROM
        (SELECT state, count(*) AS n FROM routing.lead GROUP BY state) AS by_state)::text AS leads,
    (SELECT coalesce(jsonb_object_agg(queue, n), '{}') FROM
        (SELECT queue, count(*) AS n FROM routing.lead WHERE queue IS NOT NULL GROUP BY queue) AS q)::text
        AS queues,
    (SELECT min(since) FROM routing.lead WHERE queue IS NOT NULL) AS oldest_queued_at,
    (SELECT count(*) FROM routing.handoff WHERE closed_at IS NULL) AS open_handoffs,
    (SELECT count(DISTINCT lead_id) FROM routing.transition WHERE to_state = 'qualified') AS qualified_ever,
    (SELECT count(DISTINCT lead_id) FROM routing.handoff) AS handed_over_ever,
    (SELECT count(*) FROM routing.clock WHERE state = 'running' AND kind <> 'cool_down') AS open_clocks,
    (SELECT count(*) FROM routing.clock WHERE breached_at > statement_timestamp() - interval '24 hours')
        AS breaches_24h,
    (SELECT coalesce(max(extract(epoch FROM statement_timestamp() - wakes_at)), 0)::float8 FROM routing.clock
        WHERE wakes_at < statement_timestamp()) AS timer_lag_seconds,
    (SELECT count(*) FROM routing.dead_letter WHERE status = 'held') AS dead_letters,
    (SELECT beat_at FROM routing.heartbeat WHERE name = 'timer') AS timer_beat_at,
    (SELECT version FROM routing.policy WHERE active) AS policy_version
"""


class RoutingViews:
    """See the port `Views`."""

    def __init__(self, database: Database, bus: Bus, reads: PostgresReads) -> None:
        self._database = database
        self._bus = bus
        self._reads = reads

    async def status(self) -> Mapping[str, Any]:
        """Return counts, lags and ages."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow(STATUS)
        assert row is not None
        waiting, age = await backlog(self._database)
        return dict(row) | {
            "leads": orjson.loads(row["leads"]),
            "queues": orjson.loads(row["queues"]),
            "lag": await lag(self._database, self._bus, consumer_group("routing"), [LEADS.name]),
            "outbox_unsent": waiting,
            "outbox_oldest_seconds": age,
        }

    async def reconcile(self) -> Sequence[Finding]:
        """Check routing's tables against its promises."""
        return await reconcile(self._database)

    async def lead(self, lead_id: str) -> Mapping[str, Any] | None:
        """Return a lead's lifecycle, hand-offs, clocks and decisions."""
        return await self._reads.lead(lead_id)

    async def known_leads(self, lead_ids: Sequence[str]) -> set[str]:
        """Return those of the ids that routing knows, redirected ones included."""
        return await self._reads.known_leads(lead_ids)
