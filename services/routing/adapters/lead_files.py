"""Locking leads and loading what hangs on them, and writing it back: always by sets, leads first and sorted."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from services.routing.adapters.rows import as_json, columns_of, insert, upsert
from services.routing.usecases.lead_file import Handoff, Lead, LeadFile, RunningClock, Transition
from shared.contracts.leads import LeadScored
from shared.db.database import Connection

_SNAPSHOT = msgspec.json.Decoder(LeadScored)


async def resolve(connection: Connection, lead_ids: Sequence[str]) -> Mapping[str, str]:
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
    connection: Connection, lead_ids: Sequence[str], *, create_at: datetime | None = None, skip: bool = False
) -> dict[str, LeadFile]:
    """Lock leads in the order of their ids and load them; with `create_at` unknown ones are made.

    With `skip`, leads that somebody else holds are left out.
    """
    wanted = sorted(set(lead_ids))
    made: set[str] = set()
    if create_at is not None:
        made = await _create(connection, wanted, create_at)
    rows = await connection.fetch(
        f"SELECT {columns_of(Lead)} FROM routing.lead WHERE lead_id = ANY($1::text[])"
        f" ORDER BY lead_id FOR UPDATE {'SKIP LOCKED' if skip else ''}",
        wanted,
    )
    files = {
        row["lead_id"]: LeadFile(Lead(**dict(row)), known=row["lead_id"] not in made) for row in rows
    }
    await _load(connection, files)
    return files


async def read(connection: Connection, lead_id: str) -> LeadFile | None:
    """Load one lead without locking it."""
    row = await connection.fetchrow(
        f"SELECT {columns_of(Lead)} FROM routing.lead WHERE lead_id = $1", lead_id
    )
    if row is None:
        return None
    files = {lead_id: LeadFile(Lead(**dict(row)))}
    await _load(connection, files)
    return files[lead_id]


async def _create(connection: Connection, lead_ids: Sequence[str], at: datetime) -> set[str]:
    rows = await connection.fetch(
        """
        INSERT INTO routing.lead (lead_id, state, cycle, seq, epoch, revision, score, reassignments,
                                  rejected_by, note, since, created_at)
        SELECT id, 'nurturing', 1, 0, 0, 0, 0, 0, '{}', '', $2, $2 FROM unnest($1::text[]) AS id ORDER BY id
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
        f"SELECT {columns_of(Handoff)} FROM routing.handoff WHERE open AND lead_id = ANY($1::text[])", known
    ):
        files[row["lead_id"]].handoff = Handoff(**dict(row))
    for row in await connection.fetch(
        f"SELECT {columns_of(RunningClock, json=['plan'])} FROM routing.clock"
        " WHERE ended_at IS NULL AND lead_id = ANY($1::text[]) ORDER BY clock_id",
        known,
    ):
        values = dict(row)
        values["plan"] = msgspec.json.decode(values["plan"])
        files[row["lead_id"]].clocks.append(RunningClock(**values))
    for row in await connection.fetch(
        "SELECT lead_id, body::text AS body FROM routing.snapshot WHERE lead_id = ANY($1::text[])", known
    ):
        files[row["lead_id"]].snapshot = _SNAPSHOT.decode(row["body"])


async def save(connection: Connection, files: Sequence[LeadFile], closed: Sequence[Handoff]) -> None:
    """Write leads, hand-offs (closed ones first, so that a new one may open) and clocks."""
    await upsert(connection, Lead, "lead", "lead_id", [file.lead for file in files])
    await upsert(connection, Handoff, "handoff", "handoff_id", closed)
    open_ones = [file.handoff for file in files if file.handoff is not None]
    await upsert(connection, Handoff, "handoff", "handoff_id", open_ones)
    clocks = [clock for file in files for clock in file.clocks]
    await upsert(connection, RunningClock, "clock", "clock_id", clocks)


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
    await insert(connection, "transition", [_transition(move) for move in transitions])


def _transition(move: Transition) -> dict[str, object]:
    return {
        "lead_id": move.lead_id, "cycle": move.cycle, "at": move.at, "from_state": move.from_state,
        "to_state": move.to_state, "reason": move.reason, "actor": move.actor, "handoff_id": move.handoff_id,
    }  # fmt: skip


async def redirect(connection: Connection, pairs: Sequence[tuple[str, str]], at: datetime) -> None:
    """Redirect losers to survivors for ever: their lead rows go, their history keeps their ids."""
    losers = [loser for loser, _ in pairs]
    await connection.execute("DELETE FROM routing.snapshot WHERE lead_id = ANY($1::text[])", losers)
    await connection.execute("DELETE FROM routing.lead WHERE lead_id = ANY($1::text[])", losers)
    await insert(
        connection, "redirect", [{"lead_id": a, "survivor_id": b, "at": at} for a, b in pairs]
    )
