"""The reads of the HTTP pages and of other services' pages, each statement its own transaction."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from services.routing.adapters import lead_files
from services.routing.adapters.decision_rows import unpacked
from services.routing.adapters.lead_files import HANDOFF_LIST, clock_of, handoff_of
from services.routing.adapters.people import open_loads, people
from services.routing.adapters.policies import PolicyShelf, active_text
from services.routing.domain.lifecycle import Handoff
from services.routing.domain.sla import Delay
from services.routing.usecases.show import clock_view, delay_view, handoff_view, person_view
from shared.db.database import Connection, Database

Page = dict[str, Any]

_DELAY = msgspec.json.Decoder(Delay)


class PostgresReads:
    """See the port `Reads`."""

    def __init__(self, database: Database, shelf: PolicyShelf) -> None:
        self._database = database
        self._shelf = shelf

    async def handoffs(
        self, filters: Mapping[str, Any], after: tuple[Any, ...] | None, limit: int
    ) -> list[Page]:
        async with self._database.connection() as connection:
            rows = await connection.fetch(
                f"""
                SELECT {_prefixed(HANDOFF_LIST)}, l.state AS lead_state FROM routing.handoff h
                LEFT JOIN routing.lead l ON l.lead_id = h.lead_id AND h.closed_at IS NULL
                WHERE ($1::text IS NULL OR h.person_id = $1) AND ($2::text IS NULL OR h.lead_id = $2)
                  AND ($3::boolean IS NULL OR (h.closed_at IS NULL) = $3)
                  AND ($4::text IS NULL OR h.state = $4)
                  AND ($5::timestamptz IS NULL OR (h.assigned_at, h.handoff_id) < ($5, $6))
                ORDER BY h.assigned_at DESC, h.handoff_id DESC LIMIT $7
                """,
                filters.get("person"), filters.get("lead"), filters.get("open"), filters.get("state"),
                *(after or (None, None)), limit + 1,
            )  # fmt: skip
        return [handoff_view(handoff_of(row)) for row in rows]

    async def handoff(self, handoff_id: str) -> Page | None:
        async with self._database.connection() as connection:
            handoff = (await lead_files.handoffs(connection, [handoff_id])).get(handoff_id)
            if handoff is None:
                return None
            clocks = await _clocks(connection, "handoff_id", handoff_id)
            (delay,) = await _delays(connection, [handoff])
            file = await lead_files.read(connection, handoff.lead_id)
        snapshot = file.snapshot if file else None
        return handoff_view(handoff) | {
            "lead_state": file.record.state if file else None,
            "clocks": clocks,
            "delay": delay,
            "call": msgspec.to_builtins(snapshot, builtin_types=(datetime,)) if snapshot else None,
        }

    async def clocks(
        self, filters: Mapping[str, Any], after: tuple[Any, ...] | None, limit: int
    ) -> list[Page]:
        async with self._database.connection() as connection:
            rows = await connection.fetch(
                """
                SELECT body::text AS body, due_at, statement_timestamp() AS now FROM routing.clock
                WHERE kind <> 'cool_down' AND ($1::boolean IS NULL OR (state = 'running') = $1)
                  AND ($2::boolean IS NULL OR (breached_at IS NOT NULL) = $2)
                  AND ($3::timestamptz IS NULL OR due_at < $3) AND ($4::text IS NULL OR person_id = $4)
                  AND ($5::timestamptz IS NULL OR (due_at, clock_id) > ($5, $6))
                ORDER BY due_at, clock_id LIMIT $7
                """,
                filters.get("open"), filters.get("breached"), filters.get("due_before"),
                filters.get("person"),
                *(after or (None, None)), limit + 1,
            )  # fmt: skip
        return [clock_view(clock_of(row["body"]), row["now"]) for row in rows]

    async def people(self) -> list[Page]:
        return await self._people(None)

    async def person(self, person_id: str) -> Page | None:
        found = await self._people([person_id])
        return found[0] if found else None

    async def _people(self, ids: Sequence[str] | None) -> list[Page]:
        async with self._database.connection() as connection:
            terms = await self._shelf.terms(connection, None)
            rows = await people(connection, ids)
            loads = await open_loads(connection, list(rows))
        return [
            person_view(row, terms.policy.people.get(key), loads.get(key, 0)) for key, row in rows.items()
        ]

    async def decision(self, decision_id: str) -> Page | None:
        async with self._database.connection() as connection:
            body = await connection.fetchval(
                "SELECT body::text FROM routing.decision WHERE decision_id = $1", decision_id
            )
        return None if body is None else {"id": decision_id} | unpacked(msgspec.json.decode(body))

    async def queues(self) -> list[Page]:
        async with self._database.connection() as connection:
            terms = await self._shelf.terms(connection, None)
            rows = await connection.fetch(
                """
                SELECT q.queue, q.wakes_at, count(l.lead_id) AS length, min(l.since) AS oldest_at
                FROM routing.queue q LEFT JOIN routing.lead l ON l.queue = q.queue
                GROUP BY q.queue ORDER BY q.queue
                """
            )
        shown = []
        for row in rows:
            queue = terms.policy.queues.get(row["queue"])
            if queue is None and not row["length"]:
                continue  # dropped by the policy, and nobody waits in it
            named = (
                {"name": queue.name, "owner": queue.owner} if queue else {"name": row["queue"], "owner": None}
            )
            shown.append({"id": row["queue"], **named, **{key: row[key] for key in list(row.keys())[1:]}})
        return shown

    async def lead(self, lead_id: str) -> Page | None:
        async with self._database.connection() as connection:
            survivor = (await lead_files.resolve(connection, [lead_id])).get(lead_id, lead_id)
            file = await lead_files.read(connection, survivor)
            if file is None:
                return None
            ids = [survivor, *await _merged_into(connection, survivor)]
            history = await _history(connection, ids)
            clocks = await _clocks(connection, "lead_id", survivor)
            handoffs = await _handoffs_of(connection, ids)
        record = file.record
        return {
            "lead_id": survivor,
            "asked_for": lead_id,
            "merged_ids": ids[1:],
            "state": record.state,
            "since": record.since,
            "cycle": record.cycle,
            "cut": record.cut,
            "queue": record.queue,
            "holder": file.holder,
            "cool_down_until": record.cool_down_until,
            "rejected_by": sorted(record.rejected_by),
            "do_not_contact": record.do_not_contact,
            "handoff_id": file.handoff.id if file.handoff else None,
            "handoffs": handoffs,
            "clocks": clocks,
            **history,
        }

    async def policy(self) -> Page | None:
        async with self._database.connection() as connection:
            found = await active_text(connection)
        return dict(found) if found else None

    async def feed(self, after: int, limit: int, types: Sequence[str]) -> list[Page]:
        async with self._database.connection() as connection:
            rows = await connection.fetch(
                """
                SELECT feed_seq, event_id, type, key, time, sent_epoch, payload FROM routing.outbox
                WHERE feed_seq > $1 AND ($2::text[] = '{}' OR type = ANY($2::text[]))
                ORDER BY feed_seq LIMIT $3
                """,
                after, list(types), limit,
            )  # fmt: skip
        return [dict(row) for row in rows]

    async def feed_range(self) -> tuple[int, int, int]:
        async with self._database.connection() as connection:
            row = await connection.fetchrow(
                """
                SELECT platform.current_epoch() AS epoch,
                    coalesce((SELECT last_seq FROM routing.feed_head), 0) AS last,
                    (SELECT min(feed_seq) FROM routing.outbox WHERE feed_seq IS NOT NULL) AS oldest
                """
            )
        assert row is not None
        return row["epoch"], row["oldest"] if row["oldest"] is not None else row["last"] + 1, row["last"]

    async def known_leads(self, lead_ids: Sequence[str]) -> set[str]:
        async with self._database.connection() as connection:
            rows = await connection.fetch(
                "SELECT lead_id FROM routing.lead WHERE lead_id = ANY($1::text[]) UNION"
                " SELECT lead_id FROM routing.redirect WHERE lead_id = ANY($1::text[])",
                list(lead_ids),
            )
        return {row["lead_id"] for row in rows}


def _prefixed(columns: str) -> str:
    return ", ".join(f"h.{name}" for name in columns.split(", "))


async def _clocks(connection: Connection, column: str, value: str) -> list[Page]:
    rows = await connection.fetch(
        f"SELECT body::text AS body FROM routing.clock WHERE {column} = $1 ORDER BY started_at, clock_id",
        value,
    )
    now = datetime.now(UTC)
    return [clock_view(clock_of(row["body"]), now) for row in rows]


async def _delays(connection: Connection, handoffs: Sequence[Handoff]) -> list[dict[str, float] | None]:
    """Return each hand-off's delay up to the first touch, from what its decision noted at the offer."""
    rows = await connection.fetch(
        "SELECT decision_id, (body -> 'delay')::text AS delay FROM routing.decision"
        " WHERE decision_id = ANY($1::text[]) AND jsonb_typeof(body -> 'delay') = 'object'",
        [handoff.decision_id for handoff in handoffs],
    )
    noted = {row["decision_id"]: _DELAY.decode(row["delay"]) for row in rows}
    now = datetime.now(UTC)
    return [delay_view(handoff, noted.get(handoff.decision_id), now) for handoff in handoffs]


async def _handoffs_of(connection: Connection, lead_ids: Sequence[str]) -> list[Page]:
    """Return the hand-offs of a lead under all the ids it has had, oldest first, each with its delay."""
    rows = await connection.fetch(
        f"SELECT {HANDOFF_LIST} FROM routing.handoff WHERE lead_id = ANY($1::text[])"
        " ORDER BY assigned_at, seq",
        lead_ids,
    )
    held = [handoff_of(row) for row in rows]
    delays = await _delays(connection, held)
    return [handoff_view(one) | {"delay": delay} for one, delay in zip(held, delays, strict=True)]


async def _history(connection: Connection, lead_ids: Sequence[str]) -> Page:
    """Return what a lead went through under all the ids it has had, oldest first."""
    transitions = await connection.fetch(
        "SELECT lead_id, cycle, at, from_state, to_state, reason, actor::text AS actor, handoff_id"
        " FROM routing.transition WHERE lead_id = ANY($1::text[]) ORDER BY transition_id",
        lead_ids,
    )
    decisions = await connection.fetch(
        "SELECT decision_id AS id, cycle, at, person_id, queue, policy_version, body ->> 'reason' AS reason"
        " FROM routing.decision WHERE lead_id = ANY($1::text[]) ORDER BY at",
        lead_ids,
    )
    parked = await connection.fetch(
        "SELECT parked_id AS id, act, why, at FROM routing.parked_command"
        " WHERE lead_id = ANY($1::text[]) ORDER BY at",
        lead_ids,
    )
    return {
        "transitions": [dict(row) | {"actor": msgspec.json.decode(row["actor"])} for row in transitions],
        "decisions": [dict(row) for row in decisions],
        "parked": [dict(row) for row in parked],
    }


async def _merged_into(connection: Connection, survivor: str) -> list[str]:
    rows = await connection.fetch(
        """
        WITH RECURSIVE merged (lead_id) AS (
            SELECT lead_id FROM routing.redirect WHERE survivor_id = $1
            UNION SELECT r.lead_id FROM merged JOIN routing.redirect r ON r.survivor_id = merged.lead_id
        )
        SELECT lead_id FROM merged ORDER BY lead_id
        """,
        survivor,
    )
    return [row["lead_id"] for row in rows]
