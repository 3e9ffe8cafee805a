"""Teams, people and what they hold. Loads are counted from the hand-offs: there is no counter to drift."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from services.routing.adapters.rows import as_json, upsert
from services.routing.domain.policy import TimeOff
from services.routing.domain.rotation import Rotation
from services.routing.usecases.person_row import PersonRow
from shared.db.database import Connection

_ROTATION = msgspec.json.Decoder(Rotation)
_COLUMNS = (
    "person_id", "online", "active", "paused_until", "out_of_rotation_until", "time_off", "weight", "version",
    "changed_at",
)  # fmt: skip
_SELECTED = ", ".join(f"{name}::text" if name == "time_off" else name for name in _COLUMNS)
_ABSENCES = msgspec.json.Decoder(list[TimeOff])


async def teams(connection: Connection, team_ids: Sequence[str], *, lock: bool) -> dict[str, Rotation]:
    """Return the rotation states of teams; if asked, locked in the order of their ids."""
    rows = await connection.fetch(
        "SELECT team_id, rotation::text AS rotation FROM routing.team WHERE team_id = ANY($1::text[])"
        f" ORDER BY team_id {'FOR UPDATE' if lock else ''}",
        list(team_ids),
    )
    return {row["team_id"]: _ROTATION.decode(row["rotation"]) for row in rows}


async def save_rotations(connection: Connection, rotations: Mapping[str, Rotation]) -> None:
    """Write the rotation states of locked teams."""
    await connection.execute(
        "UPDATE routing.team SET rotation = new.rotation"
        " FROM jsonb_to_recordset($1::text::jsonb) AS new (team_id text, rotation jsonb)"
        " WHERE team.team_id = new.team_id",
        as_json([{"team_id": team_id, "rotation": state} for team_id, state in sorted(rotations.items())]),
    )


async def people(
    connection: Connection, person_ids: Sequence[str] | None = None, *, lock: bool = False
) -> dict[str, PersonRow]:
    """Return people (all where no ids are given), locked in the order of their ids if asked."""
    rows = await connection.fetch(
        f"SELECT {_SELECTED} FROM routing.person"
        f" WHERE $1::text[] IS NULL OR person_id = ANY($1::text[]) ORDER BY person_id"
        f" {'FOR UPDATE' if lock else ''}",
        None if person_ids is None else list(person_ids),
    )
    return {row["person_id"]: _person(dict(row)) for row in rows}


async def unusual(connection: Connection, person_ids: Sequence[str], *, lock: bool) -> dict[str, PersonRow]:
    """Return those who are not simply there; if asked, all are locked in the order of their ids."""
    # Thousands of ids go as one JSON text: as an array each would be weighed by the driver by itself.
    rows = await connection.fetch(
        "WITH asked AS MATERIALIZED (SELECT * FROM routing.person"
        " WHERE person_id = ANY(ARRAY(SELECT jsonb_array_elements_text($1::text::jsonb)))"
        f" ORDER BY person_id {'FOR UPDATE' if lock else ''}) SELECT {_SELECTED} FROM asked"
        " WHERE NOT (online AND active AND paused_until IS NULL AND out_of_rotation_until IS NULL"
        " AND time_off = '[]')",
        as_json(person_ids),
    )
    return {row["person_id"]: _person(dict(row)) for row in rows}


def _person(values: dict[str, Any]) -> PersonRow:
    values["time_off"] = _ABSENCES.decode(values["time_off"])
    return PersonRow(**values)


async def save_people(connection: Connection, rows: Sequence[PersonRow]) -> None:
    """Write people."""
    await upsert(
        connection, "person", _COLUMNS, [{name: getattr(row, name) for name in _COLUMNS} for row in rows]
    )


async def add_missing(
    connection: Connection,
    team_ids: Sequence[str],
    person_ids: Sequence[str],
    queues: Sequence[str],
    at: datetime,
) -> None:
    """Make rows for the teams, people and queues of a policy; those that are there stay as they are."""
    await connection.execute(
        "INSERT INTO routing.team (team_id, rotation) SELECT id, '{}' FROM unnest($1::text[]) AS id"
        " ORDER BY id ON CONFLICT DO NOTHING",
        list(team_ids),
    )
    await connection.execute(
        "INSERT INTO routing.person (person_id, online, active, time_off, version, changed_at)"
        " SELECT id, true, true, '[]', 1, $2 FROM unnest($1::text[]) AS id"
        " ORDER BY id ON CONFLICT DO NOTHING",
        list(person_ids),
        at,
    )
    await connection.execute(
        "INSERT INTO routing.queue (queue, turn) SELECT id, 0 FROM unnest($1::text[]) AS id"
        " ORDER BY id ON CONFLICT DO NOTHING",
        list(queues),
    )


async def open_loads(connection: Connection, person_ids: Sequence[str]) -> dict[str, int]:
    """Count the open hand-offs of each person who has any."""
    rows = await connection.fetch(
        "SELECT person_id, count(*) AS load FROM routing.handoff"
        " WHERE closed_at IS NULL AND person_id = ANY($1::text[]) GROUP BY person_id",
        list(person_ids),
    )
    return {row["person_id"]: row["load"] for row in rows}


async def desks(
    connection: Connection, by_day_start: Sequence[tuple[datetime, Sequence[str]]]
) -> dict[str, tuple[int, int]]:
    """Count of each person who has any (open hand-offs, hand-offs given since the start of their day)."""
    rows = await connection.fetch(
        """
        WITH day AS MATERIALIZED (
            SELECT (day ->> 0)::timestamptz AS began,
                   ARRAY(SELECT jsonb_array_elements_text(day -> 1)) AS ids
            FROM jsonb_array_elements($1::text::jsonb) AS day
        ), counted AS (
            SELECT h.person_id, count(*) AS load, 0 AS given FROM routing.handoff h
            WHERE h.person_id = ANY(ARRAY(SELECT unnest(ids) FROM day)) AND h.closed_at IS NULL GROUP BY 1
            UNION ALL
            SELECT h.person_id, 0, count(*) FROM day, routing.handoff h
            WHERE h.person_id = ANY(day.ids) AND h.assigned_at >= day.began GROUP BY 1
        )
        SELECT person_id, sum(load)::bigint AS load, sum(given)::bigint AS given FROM counted GROUP BY 1
        """,
        as_json(by_day_start),
    )
    return {person_id: (load, given) for person_id, load, given in rows}


async def open_handoffs_of(connection: Connection, person_ids: Sequence[str]) -> dict[str, list[str]]:
    """Name the open hand-offs of each person who has any."""
    rows = await connection.fetch(
        "SELECT person_id, array_agg(handoff_id ORDER BY handoff_id) AS held FROM routing.handoff"
        " WHERE closed_at IS NULL AND person_id = ANY($1::text[]) GROUP BY person_id",
        list(person_ids),
    )
    return {row["person_id"]: list(row["held"]) for row in rows}


async def leave_out(connection: Connection, until: Mapping[str, datetime], at: datetime) -> None:
    """Take silent reps out of rotation until an instant, unless they are out for longer already.

    Those who are not locked yet are locked in the order of their ids.
    """
    await connection.execute(
        "WITH silent AS MATERIALIZED (SELECT person_id FROM routing.person"
        " WHERE person_id = ANY($1::text[]) ORDER BY person_id FOR UPDATE)"
        " UPDATE routing.person SET out_of_rotation_until = greatest(out_of_rotation_until, new.until),"
        " version = version + 1, changed_at = $3"
        " FROM silent JOIN unnest($1::text[], $2::timestamptz[]) AS new (person_id, until) USING (person_id)"
        " WHERE person.person_id = silent.person_id",
        list(until),
        list(until.values()),
        at,
    )
