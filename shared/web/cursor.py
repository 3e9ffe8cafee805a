"""Opaque cursors of keyset pages: `{"data": […], "next": cursor | null}`."""

import base64
import binascii
import zlib
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, TypeVar

import orjson
from fastapi import Query

from shared.web.problem import Problem

T = TypeVar("T")

PageSize = Annotated[int, Query(ge=1, le=200, description="Most items of one page.")]
PageCursor = Annotated[
    str | None, Query(max_length=500, description="`next` of the page before; leave out for the first page.")
]

Value = str | int | datetime


def encode(kind: str, *values: Value) -> str:
    """Return a cursor that `decode(kind, …)` reads; `kind` names the list, so they are not mixed up."""
    plain = [value.isoformat() if isinstance(value, datetime) else value for value in values]
    text = orjson.dumps([kind, *plain])
    return base64.urlsafe_b64encode(_seal(text) + text).decode().rstrip("=")


def decode(
    kind: str, cursor: str, types: Sequence[type[Value]], *, parameter: str = "cursor"
) -> tuple[Any, ...]:
    """Return the values of a cursor, of the given types; raise Problem 400 `invalid_cursor` otherwise.

    `parameter` is what the request calls it.
    """
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        values = _open(raw, kind)
        return tuple(_read(value, wanted) for value, wanted in zip(values, types, strict=True))
    except (ValueError, TypeError, binascii.Error):
        raise Problem(
            400,
            "invalid_cursor",
            "The cursor is not one of this list; leave it out to start again.",
            errors=[{"pointer": f"/{parameter}", "detail": "not a cursor of this list", "in": "query"}],
        ) from None


def page(items: Sequence[T], limit: int, cursor_of: Any) -> dict[str, Any]:
    """Return the page of up to `limit` items, of which one more was fetched to learn whether another follows.

    `cursor_of(item)` is called with the last item shown and returns its cursor.
    """
    shown = list(items[:limit])
    more = len(items) > limit
    return {"data": shown, "next": cursor_of(shown[-1]) if more and shown else None}


def _open(raw: bytes, kind: str) -> list[Any]:
    seal, text = raw[:4], raw[4:]
    if seal != _seal(text):
        raise ValueError("damaged")
    found: list[Any] = orjson.loads(text)
    if found[0] != kind:
        raise ValueError("of another list")
    return found[1:]


def _seal(text: bytes) -> bytes:
    return zlib.crc32(text).to_bytes(4, "big")


def _read(value: Any, wanted: type[Value]) -> Value:
    if wanted is datetime:
        instant = datetime.fromisoformat(value)
        if instant.tzinfo is None:
            raise ValueError("naive")
        return instant
    if type(value) is not wanted:
        raise ValueError("of another type")
    checked: Value = value
    return checked
