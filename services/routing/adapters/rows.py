"""Writing rows: one jsonb array per statement, so that a batch is one round trip."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from shared.db.database import Connection


async def upsert(
    connection: Connection, table: str, columns: Sequence[str], rows: Sequence[Mapping[str, Any]]
) -> None:
    """Write rows into `routing.<table>`, in the order of their key, which is the first column."""
    if not rows:
        return
    key, names = columns[0], ", ".join(columns)
    changes = ", ".join(f"{name} = excluded.{name}" for name in columns[1:])
    await connection.execute(
        f"INSERT INTO routing.{table} ({names}) SELECT {names}"
        f" FROM jsonb_populate_recordset(NULL::routing.{table}, $1::text::jsonb) ORDER BY {key}"
        f" ON CONFLICT ({key}) DO UPDATE SET {changes}",
        as_json(rows),
    )


async def insert(connection: Connection, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows with equal columns; a row that is there already is left as it is."""
    if not rows:
        return
    names = ", ".join(rows[0])
    await connection.execute(
        f"INSERT INTO routing.{table} ({names}) SELECT {names}"
        f" FROM jsonb_populate_recordset(NULL::routing.{table}, $1::text::jsonb) ON CONFLICT DO NOTHING",
        as_json(rows),
    )


def as_json(value: object) -> str:
    """Encode for `$n::text::jsonb`."""
    return msgspec.json.encode(value).decode()
