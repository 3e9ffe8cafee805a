"""Routing's promises as queries: each returns the ids that break one; over all rows, in one snapshot."""

from dataclasses import dataclass

from shared.db.database import Database
from shared.runtime import Finding

SHOWN = 20


@dataclass(frozen=True, slots=True)
class _Check:
    name: str
    over: str
    problems: str


# A breach may be recorded half a second late, a wake drained a moment later: what is younger is no fault.
_LATE = "statement_timestamp() - interval '10 seconds'"

CHECKS = (
    _Check(
        "a lead that a rep holds has exactly one open hand-off, with its holder and its state",
        "SELECT count(*) FROM routing.lead",
        """
        SELECT l.lead_id FROM routing.lead l
        LEFT JOIN routing.handoff h ON h.lead_id = l.lead_id AND h.closed_at IS NULL
        WHERE l.state IN ('assigned', 'accepted', 'working', 'opportunity')
          AND (h.handoff_id IS NULL OR h.person_id <> l.holder OR h.state <> l.state OR h.cycle <> l.cycle)
        """,
    ),
    _Check(
        "an open hand-off belongs to a lead that a rep holds",
        "SELECT count(*) FROM routing.handoff WHERE closed_at IS NULL",
        """
        SELECT h.handoff_id FROM routing.handoff h LEFT JOIN routing.lead l ON l.lead_id = h.lead_id
        WHERE h.closed_at IS NULL
          AND (l.lead_id IS NULL OR l.state NOT IN ('assigned', 'accepted', 'working', 'opportunity'))
        """,
    ),
    _Check(
        "what a queue or a rep holds, and what cools down, runs against its clock",
        "SELECT count(*) FROM routing.lead",
        """
        SELECT l.lead_id FROM routing.lead l
        JOIN (VALUES ('qualified', 'assign'), ('assigned', 'accept'), ('accepted', 'first_touch'),
                     ('working', 'qualify'), ('opportunity', 'stage_age'), ('recycled', 'cool_down'))
          AS needs (state, kind) ON needs.state = l.state
        WHERE NOT EXISTS (SELECT 1 FROM routing.clock c WHERE c.lead_id = l.lead_id AND c.kind = needs.kind
                          AND c.state = 'running')
        """,
    ),
    _Check(
        "a running clock belongs to a lead in the state it times, and to its open hand-off",
        "SELECT count(*) FROM routing.clock WHERE state = 'running'",
        """
        SELECT c.clock_id FROM routing.clock c
        LEFT JOIN routing.lead l ON l.lead_id = c.lead_id
        LEFT JOIN routing.handoff h ON h.handoff_id = c.handoff_id
        WHERE c.state = 'running' AND (l.lead_id IS NULL
          OR (c.handoff_id IS NOT NULL AND h.closed_at IS NOT NULL)
          OR (c.kind, l.state) NOT IN (('assign', 'qualified'), ('accept', 'assigned'),
              ('first_touch', 'accepted'), ('qualify', 'working'), ('stage_age', 'opportunity'),
              ('cool_down', 'recycled')))
        """,
    ),
    _Check(
        "no clock is left unfired",
        "SELECT count(*) FROM routing.clock WHERE wakes_at IS NOT NULL",
        f"SELECT clock_id FROM routing.clock WHERE wakes_at IS NOT NULL AND wakes_at < {_LATE}",
    ),
    _Check(
        "no wake of a queue is left undone",
        "SELECT count(*) FROM routing.queue",
        f"SELECT queue FROM routing.queue WHERE wakes_at IS NOT NULL AND wakes_at < {_LATE}",
    ),
    _Check(
        "a redirected id is no lead any more",
        "SELECT count(*) FROM routing.redirect",
        "SELECT r.lead_id FROM routing.redirect r JOIN routing.lead l ON l.lead_id = r.lead_id",
    ),
    _Check(
        "a queued lead waits in a queue that can be woken",
        "SELECT count(*) FROM routing.lead WHERE queue IS NOT NULL",
        "SELECT l.lead_id FROM routing.lead l LEFT JOIN routing.queue q ON q.queue = l.queue"
        " WHERE l.queue IS NOT NULL AND q.queue IS NULL",
    ),
)


async def reconcile(database: Database) -> list[Finding]:
    """Run every check in one snapshot of the database."""
    findings = []
    async with (
        database.pool.acquire() as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        for check in CHECKS:
            checked = await connection.fetchval(check.over)
            rows = await connection.fetch(f"{check.problems} LIMIT {SHOWN}")
            findings.append(Finding(check.name, checked, [str(row[0]) for row in rows]))
    return findings
