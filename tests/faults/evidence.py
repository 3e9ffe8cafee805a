"""What the checks look at, read once the machine is quiet: tables, feed, journal, disturbances."""

import asyncio
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import httpx2

from shared.contracts.topics import SERVICES
from shared.db.embedded import EmbeddedPostgres
from tests.faults import journal
from tests.faults.clients import http
from tests.faults.controller import Disturbance
from tests.faults.log import Kept, Seen, read_log
from tests.faults.machine import Machine

Row = Mapping[str, Any]

TABLES = {
    "timeline": "SELECT event_id::text, source, kind, name FROM scoring.timeline",
    "receipts": "SELECT submission_id, state, event_id, raw FROM ingest.receipt",
    "quarantine": "SELECT id, message_id, state FROM ingest.quarantine",
    "letters": "SELECT 'ingest' AS service, code FROM ingest.dead_letter UNION ALL"
    " SELECT 'scoring', code FROM scoring.dead_letter UNION ALL"
    " SELECT 'routing', code FROM routing.dead_letter",
    "handoffs": "SELECT handoff_id, lead_id, cycle, seq, state, assigned_at, accepted_at, contacted_at,"
    " closed_at, outcome, acts FROM routing.handoff",
    "acts": "SELECT handoff_id, act, actor FROM routing.act",
    "parked": "SELECT parked_id, act, body FROM routing.parked_command",
    "moves": "SELECT lead_id, from_state, to_state, reason FROM routing.transition ORDER BY transition_id",
    "transitions": "SELECT lead_id, handoff_id, actor FROM routing.transition WHERE actor ->> 'kind' = 'crm'",
    "redirects": "SELECT lead_id, survivor_id, at FROM routing.redirect",
    "splits": "SELECT lead_id, from_id, at FROM routing.split",
    "unmerged": "SELECT convert_from(payload, 'UTF8')::jsonb AS told FROM scoring.outbox"
    " WHERE type = 'leadline.lead.unmerged.v1'",
    "decisions": "SELECT decision_id, person_id, body FROM routing.decision",
    "teams": "SELECT team_id, rotation FROM routing.team",
    "outbox": " UNION ALL ".join(
        f"SELECT '{service}' AS service, id, event_id, topic, key, sent_at IS NOT NULL AS sent"
        f" FROM {service}.outbox"
        for service in SERVICES
    ),
    "positions": " UNION ALL ".join(
        "SELECT consumer_group, topic, partition, next_offset, handled, rejected"
        f" FROM {service}.consumer_position"
        for service in SERVICES
    ),
    "scoring_redirects": "SELECT lead_id, survivor_id FROM scoring.redirect",
    "hand_links": "SELECT a, b, event_id::text FROM scoring.link l"
    " WHERE NOT EXISTS (SELECT FROM scoring.timeline t WHERE t.event_id = l.event_id)",
    "clocks": "SELECT clock_id, lead_id, handoff_id, kind, state, started_at, due_at, stopped_at,"
    " breached_at, body FROM routing.clock",
    "outages": "SELECT began_at, ended_at FROM routing.outage",
    "snapshots": "SELECT s.lead_id, s.epoch, s.revision, r.epoch AS routing_epoch,"
    " r.revision AS routing_revision, d.survivor_id FROM scoring.snapshot s"
    " LEFT JOIN routing.snapshot r ON r.lead_id = s.lead_id"
    " LEFT JOIN routing.redirect d ON d.lead_id = s.lead_id",
    "leads": "SELECT l.lead_id, l.state, l.cycle, s.body FROM routing.lead l"
    " LEFT JOIN routing.snapshot s ON s.lead_id = l.lead_id",
}

# What still moves: nothing of it may be left before the checks begin. Timers of decay lie days ahead.
WORK = """
SELECT (SELECT count(*) FROM ingest.outbox WHERE sent_at IS NULL) AS ingest_outbox,
    (SELECT count(*) FROM scoring.outbox WHERE sent_at IS NULL) AS scoring_outbox,
    (SELECT count(*) FROM routing.outbox WHERE sent_at IS NULL) AS routing_outbox
"""
CLOCKS = """
SELECT (SELECT count(*) FROM routing.clock WHERE wakes_at IS NOT NULL) AS clocks,
    (SELECT count(*) FROM routing.queue WHERE wakes_at IS NOT NULL) AS queues
"""
# Who waits in a queue when nobody acts any more is offered to one silent rep after the other.
CLOCKS_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that the checks need; `tables` by the names of `TABLES`."""

    tables: Mapping[str, Sequence[Row]]
    feed: Sequence[Row]
    followed: Sequence[str]
    journal: Sequence[journal.Entry]
    disturbances: Sequence[Disturbance]
    status: Row
    reconcile: Row
    server_log: Sequence[str] = ()
    # The log at the end, and what was read of it while everything broke.
    log: Sequence[Kept] = ()
    seen: Seen = field(default_factory=dict)


def gather(
    machine: Machine,
    journal_path: Path,
    disturbances: Sequence[Disturbance],
    followed: Sequence[str],
    seen: Seen,
) -> Evidence:
    """Read everything; the machine must be quiet."""
    with http(machine, "read") as client:
        client.timeout = httpx2.Timeout(120.0)
        return Evidence(
            tables=asyncio.run(_tables(machine.database_url)),
            feed=read_feed(client, machine),
            followed=followed,
            journal=list(journal.read(journal_path)),
            disturbances=disturbances,
            status=_get(client, machine, "/v1/status"),
            reconcile=_get(client, machine, "/v1/reconcile"),
            server_log=list(_server_log(EmbeddedPostgres(machine.data_dir).log)),
            log=asyncio.run(read_log(machine.database_url, machine.brokers.variables)),
            seen=seen,
        )


def _server_log(path: Path) -> Iterator[str]:
    """Return what the server said, the part that was rotated away first."""
    for part in (path.with_suffix(".log.1"), path):
        if part.exists():
            yield from part.read_text(errors="replace").splitlines()


def _get(client: httpx2.Client, machine: Machine, path: str, **parameters: Any) -> Row:
    answer = client.get(machine.base(path) + path, params=parameters)
    assert answer.is_success, f"{path}: {answer.status_code} {answer.text[:300]}"
    found: Row = answer.json()
    return found


def read_feed(client: httpx2.Client, machine: Machine) -> list[Row]:
    """Return the whole feed, oldest first."""
    events: list[Row] = []
    cursor: dict[str, Any] = {}
    while True:
        page = _get(client, machine, "/v1/events", limit=1000, **cursor)
        if not page["data"]:
            return events
        events += page["data"]
        cursor = {"after": page["next"]}


async def _tables(url: str) -> dict[str, list[Row]]:
    connection = await asyncpg.connect(url)
    await connection.set_type_codec("jsonb", encoder=json.dumps, decoder=json.loads, schema="pg_catalog")
    try:
        return {name: [dict(row) for row in await connection.fetch(query)] for name, query in TABLES.items()}
    finally:
        await connection.close()


async def _counts(url: str, query: str) -> dict[str, Any]:
    """Return what a query counts, where it is more than none."""
    connection = await asyncpg.connect(url)
    try:
        row = await connection.fetchrow(query)
        return {name: count for name, count in dict(row or {}).items() if count}
    finally:
        await connection.close()


def wait_until_quiet(machine: Machine, seconds: float) -> list[str]:
    """Wait until all is done and all clocks have run out; return what still moves when the time is over."""
    with http(machine, "read") as client:

        def lags() -> dict[str, Any]:
            services = _get(client, machine, "/v1/status")["services"]
            every = {
                f"{name} {t}": lag for name, of in services.items() for t, lag in of.get("lag", {}).items()
            }
            return {name: lag for name, lag in every.items() if lag}

        def work() -> dict[str, Any]:
            return asyncio.run(_counts(machine.database_url, WORK)) or lags()

        def clocks() -> dict[str, Any]:
            return asyncio.run(_counts(machine.database_url, CLOCKS)) or work()

        return _wait(machine, work, seconds) or _wait(machine, clocks, CLOCKS_SECONDS)


def _wait(machine: Machine, moving: Callable[[], dict[str, Any]], seconds: float) -> list[str]:
    deadline = time.monotonic() + seconds
    while left := moving():
        if time.monotonic() > deadline:
            return [f"still moving after {seconds:.0f} s: {left}"]
        machine.tend()
        time.sleep(0.25)
    return []
