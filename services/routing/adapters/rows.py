"""Rows to dataclasses and back: one jsonb array per statement, so that a batch is one round trip."""

from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import Any, TypeVar

import msgspec

from shared.db.database import Connection

Row = TypeVar("Row")


async def upsert(connection: Connection, kind: type[Any], table: str, key: str, rows: Sequence[object]) -> None:
    """Write dataclass rows into `routing.<table>`, all columns, in the order of their key."""
    if not rows:
        return
    names = [item.name for item in fields(kind)]
    columns = ", ".join(names)
    changes = ", ".join(f"{name} = excluded.{name}" for name in names if name != key)
    await connection.execute(
        f"INSERT INTO routing.{table} ({columns}) SELECT {columns}"
        f" FROM jsonb_populate_recordset(NULL::routing.{table}, $1::text::jsonb) ORDER BY {key}"
        f" ON CONFLICT ({key}) DO UPDATE SET {changes}",
        as_json(rows),
    )


async def insert(connection: Connection, table: str, rows: Iterable[dict[str, Any]]) -> None:
    """Insert rows given as dicts with equal keys; a row that is there already is left as it is."""
    listed = list(rows)
    if not listed:
        return
    columns = ", ".join(listed[0])
    await connection.execute(
        f"INSERT INTO routing.{table} ({columns}) SELECT {columns}"
        f" FROM jsonb_populate_recordset(NULL::routing.{table}, $1::text::jsonb) ON CONFLICT DO NOTHING",
        as_json(listed),
    )


def columns_of(kind: type[Any], *, json: Sequence[str] = (), alias: str = "") -> str:
    """Return a select list of a dataclass's columns; jsonb comes as text, whatever codec the pool has."""
    prefix = f"{alias}." if alias else ""
    return ", ".join(
        f"{prefix}{item.name}::text" if item.name in json else f"{prefix}{item.name}" for item in fields(kind)
    )


def as_json(value: object) -> str:
    """Encode for `$n::text::jsonb`."""
    return msgspec.json.encode(value).decode()
