"""Locking leads, loading what hangs on them, writing it back: always by sets, leads first and sorted."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

import asyncpg
import msgspec

from services.routing.adapters.rows import as_json, insert, upsert
from services.routing.domain.lifecycle import Act, Handoff, LeadRecord
from services.routing.domain.sla import Clock, next_due, target_at
from services.routing.usecases.lead_file import LeadFile, Transition
from shared.contracts.leads import LeadScored
from shared.db.database import Connection

LEAD = (
    "lead_id", "state", "since", "cycle", "cut", "recycles", "last_seq", "last_handoff_id", "reassigns",
    "tried", "rejected_by", "cool_down_until", "queue", "reason", "do_not_contact", "holder", "epoch",
    "revision", "score", "created_at",
)  # fmt: skip
HANDOFF = (
    "handoff_id", "lead_id", "cycle", "seq", "person_id", "team_id", "decision_id", "assigned_at", "state",
    "accepted_at", "contacted_at", "stage", "amount", "currency", "expected_close", "closed_at", "outcome",
    "reason", "note", "successor_id", "acts",
)  # fmt: skip
CLOCK = (
    "clock_id", "lead_id", "kind", "cycle", "handoff_id", "person_id", "queue", "state", "started_at",
    "due_at", "wakes_at", "stopped_at", "breached_at", "body",
)  # fmt: skip
HANDOFF_LIST = ", ".join("acts::text AS acts" if name == "acts" else name for name in HANDOFF)

Span = tuple[datetime, datetime]

_SNAPSHOT = msgspec.json.Decoder(LeadScored)
_CLOCK = msgspec.json.Decoder(Clock)
_ACTS = msgspec.json.Decoder(tuple[Act, ...])
_OF_RECORD = (
    "lead_id", "state", "since", "cycle", "cut", "recycles", "last_seq", "last_handoff_id", "reassigns",
    "cool_down_until", "queue", "reason", "do_not_contact",
)  # fmt: skip


async def resolve(connection: Connection, lead_ids: Sequence[str]) -> dict[str, str]:
    """Return the survivor of each id that was redirected, through chains."""
    rows = await connection.fetch(
        """
        WITH RECURSIVE chain (start, lead_id) AS (
            SELECT lead_id, survivor_id FROM routing.redirect WHERE lead_id = ANY($1::text[])
            UNION
            SELECT chain.start, r.survivor_id FROM chain JOIN routing.redirect r ON r.lead_id = chain.lead_id
        )
        SELECT start, lead_id FROM chain
        WHERE NOT EXISTS (SELECT 1 FROM routing.redirect r WHERE r.lead_id = chain.lead_id)
        """,
        list(lead_ids),
    )
    return {row["start"]: row["lead_id"] for row in rows}


async def lock(
    connection: Connection, lead_ids: Sequence[str], *, made: Collection[str] = (), skip: bool = False
) -> dict[str, LeadFile]:
    """Lock leads in the order of their ids and load them; of those just `made` nothing is known.

    With `skip`, leads that somebody else holds are left out.
    """
    wanted = sorted(set(lead_ids))
    rows = await connection.fetch(
        f"SELECT {', '.join(LEAD)} FROM routing.lead WHERE lead_id = ANY($1::text[])"
        f" ORDER BY lead_id FOR UPDATE {'SKIP LOCKED' if skip else ''}",
        wanted,
    )
    files = {row["lead_id"]: _file(row, known=row["lead_id"] not in made) for row in rows}
    await _load(connection, files)
    return files


async def lock_or_create(
    connection: Connection, lead_ids: Sequence[str], at: datetime | None
) -> dict[str, LeadFile]:
    """The same, but unknown leads are made, at the instant `at` or else at the database's."""
    made = await _create(connection, sorted(set(lead_ids)), at)
    return await lock(connection, lead_ids, made=made)


async def read(connection: Connection, lead_id: str) -> LeadFile | None:
    """Load one lead without locking it."""
    row = await connection.fetchrow(f"SELECT {', '.join(LEAD)} FROM routing.lead WHERE lead_id = $1", lead_id)
    if row is None:
        return None
    files = {lead_id: _file(row, known=True)}
    await _load(connection, files)
    return files[lead_id]


def _file(row: asyncpg.Record, *, known: bool) -> LeadFile:
    record = LeadRecord(
        **{name: row[name] for name in _OF_RECORD},
        tried=frozenset(row["tried"]),
        rejected_by=frozenset(row["rejected_by"]),
    )
    return LeadFile(
        record, row["created_at"], row["epoch"], row["revision"], known=known, last_holder=row["holder"]
    )


def handoff_of(row: asyncpg.Record) -> Handoff:
    """Return the hand-off of a row selected with HANDOFF_LIST."""
    values = {name: row[name] for name in HANDOFF if name not in ("handoff_id", "acts")}
    return Handoff(id=row["handoff_id"], acts=_ACTS.decode(row["acts"]), **values)


def clock_of(body: str) -> Clock:
    """Return the clock that was stored as JSON."""
    return _CLOCK.decode(body)


async def _create(connection: Connection, lead_ids: Sequence[str], at: datetime | None) -> set[str]:
    rows = await connection.fetch(
        """
        INSERT INTO routing.lead (lead_id, state, since, cycle, recycles, last_seq, reassigns, tried,
                                  rejected_by, reason, do_not_contact, epoch, revision, score, created_at)
        SELECT id, 'nurturing', made_at, 1, 0, 0, 0, '{}', '{}', '', false, 0, 0, 0, made_at
        FROM unnest($1::text[]) AS id, coalesce($2::timestamptz, statement_timestamp()) AS made_at ORDER BY id
        ON CONFLICT DO NOTHING RETURNING lead_id
        """,
        list(lead_ids),
        at,
    )
    return {row["lead_id"] for row in rows}


async def _load(connection: Connection, files: Mapping[str, LeadFile]) -> None:
    known = [lead_id for lead_id, file in files.items() if file.known]
    if not known:
        return
    for row in await connection.fetch(
        f"SELECT {HANDOFF_LIST} FROM routing.handoff WHERE closed_at IS NULL AND lead_id = ANY($1::text[])",
        known,
    ):
        files[row["lead_id"]].handoff = handoff_of(row)
    for row in await connection.fetch(
        "SELECT clock_id, lead_id, body::text AS body FROM routing.clock"
        " WHERE state = 'running' AND lead_id = ANY($1::text[]) ORDER BY clock_id",
        known,
    ):
        files[row["lead_id"]].clocks[row["clock_id"]] = clock_of(row["body"])
    for row in await connection.fetch(
        "SELECT lead_id, body::text AS body FROM routing.snapshot WHERE lead_id = ANY($1::text[])", known
    ):
        files[row["lead_id"]].snapshot = _SNAPSHOT.decode(row["body"])


async def handoffs(connection: Connection, handoff_ids: Sequence[str]) -> dict[str, Handoff]:
    """Return hand-offs by id, open or closed. To act on one, lock its lead first."""
    rows = await connection.fetch(
        f"SELECT {HANDOFF_LIST} FROM routing.handoff WHERE handoff_id = ANY($1::text[])", list(handoff_ids)
    )
    return {row["handoff_id"]: handoff_of(row) for row in rows}


async def handoff_at(connection: Connection, lead_id: str, at: datetime) -> Handoff | None:
    """Return the closed hand-off of a lead, or of one merged into it, that was open at an instant."""
    row = await connection.fetchrow(
        f"""
        SELECT {HANDOFF_LIST} FROM routing.handoff
        WHERE (lead_id = $1 OR lead_id IN (SELECT lead_id FROM routing.redirect WHERE survivor_id = $1))
          AND assigned_at <= $2 AND closed_at > $2 ORDER BY assigned_at DESC LIMIT 1
        """,
        lead_id,
        at,
    )
    return handoff_of(row) if row else None


async def save(
    connection: Connection, files: Sequence[LeadFile], closed: Sequence[Handoff], outages: Sequence[Span]
) -> None:
    """Write leads, hand-offs (closed ones first, so that a new one may open) and clocks."""
    await upsert(connection, "lead", LEAD, [_lead_row(file) for file in files])
    await upsert(connection, "handoff", HANDOFF, [_handoff_row(handoff) for handoff in closed])
    open_ones = [file.handoff for file in files if file.handoff is not None]
    await upsert(connection, "handoff", HANDOFF, [_handoff_row(handoff) for handoff in open_ones])
    clocks = [clock for file in files for clock in file.clocks.values()]
    await upsert(connection, "clock", CLOCK, [_clock_row(clock, outages) for clock in clocks])


def _lead_row(file: LeadFile) -> dict[str, Any]:
    row = {name: getattr(file.record, name) for name in _OF_RECORD}
    return row | {
        "tried": sorted(file.record.tried), "rejected_by": sorted(file.record.rejected_by),
        "since": file.record.since or file.created_at, "holder": file.holder, "epoch": file.epoch,
        "revision": file.revision, "score": file.score, "created_at": file.created_at,
    }  # fmt: skip


def _handoff_row(handoff: Handoff) -> dict[str, Any]:
    row = {name: getattr(handoff, name) for name in HANDOFF if name != "handoff_id"}
    return row | {"handoff_id": handoff.id}


def _clock_row(clock: Clock, outages: Sequence[Span]) -> dict[str, Any]:
    row = {
        name: getattr(clock, name) for name in CLOCK if name not in ("clock_id", "due_at", "wakes_at", "body")
    }
    running = clock.state == "running"
    return row | {
        "clock_id": clock.id, "due_at": target_at(clock), "body": clock,
        "wakes_at": next_due(clock, outages) if running else None,
    }  # fmt: skip


async def save_snapshots(connection: Connection, snapshots: Sequence[LeadScored]) -> None:
    """Keep these as the latest snapshots of their leads."""
    await connection.execute(
        """
        INSERT INTO routing.snapshot (lead_id, epoch, revision, as_of, body)
        SELECT body ->> 'lead_id', (body ->> 'epoch')::bigint, (body ->> 'revision')::bigint,
               (body ->> 'as_of')::timestamptz, body
        FROM jsonb_array_elements($1::text::jsonb) AS body ORDER BY 1
        ON CONFLICT (lead_id) DO UPDATE SET epoch = excluded.epoch, revision = excluded.revision,
               as_of = excluded.as_of, body = excluded.body
        """,
        as_json(snapshots),
    )


async def save_transitions(connection: Connection, transitions: Sequence[Transition]) -> None:
    """Append to the transition log."""
    await insert(connection, "transition", [msgspec.to_builtins(move) for move in transitions])


async def redirect(connection: Connection, pairs: Sequence[tuple[str, str]], at: datetime) -> None:
    """Redirect losers to survivors for ever: their lead rows go, their history keeps their ids."""
    losers = [loser for loser, _ in pairs]
    await connection.execute("DELETE FROM routing.snapshot WHERE lead_id = ANY($1::text[])", losers)
    await connection.execute("DELETE FROM routing.lead WHERE lead_id = ANY($1::text[])", losers)
    await insert(connection, "redirect", [{"lead_id": a, "survivor_id": b, "at": at} for a, b in pairs])


async def link_successors(connection: Connection, successors: Mapping[str, str]) -> None:
    """Name, on closed hand-offs, the ones that followed."""
    if successors:
        await connection.execute(
            "UPDATE routing.handoff SET successor_id = new.successor"
            " FROM unnest($1::text[], $2::text[]) AS new (handoff_id, successor)"
            " WHERE handoff.handoff_id = new.handoff_id",
            list(successors),
            list(successors.values()),
        )
