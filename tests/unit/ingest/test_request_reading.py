"""What is read of a request before any door looks at it: cookies of others, packed bodies."""

import gzip
from typing import Any

import pytest
from starlette.types import Message

from services.ingest.adapters import contact_points
from services.ingest.entrypoints.request import BodyTooLarge, BodyUnreadable, Head, read_bounded


def head_of(**headers: str) -> Head:
    scope: Any = {"headers": [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]}
    return Head.of({**scope, "scheme": "http"})


@pytest.mark.parametrize(
    "others",
    [
        'a={"x":1}; ',
        "bad name=1; ",
        "note=two words; ",
        "flag; ",
        "a[b]=1; ",
        'open="quote; ',
        "caf\xe9=1;",
        "",
    ],
)
def test_no_cookie_of_others_hides_the_visitor(others: str) -> None:
    assert head_of(cookie=f"{others}ajs_anonymous_id=%22anon-1%22; z=1").cookie_id() == "anon-1"


def test_another_cookie_is_not_the_visitors() -> None:
    assert head_of(cookie="x_ajs_anonymous_id=anon-2; ajs_user_id=7").cookie_id() is None


async def read(body: bytes, limit: int = 1000) -> bytes:
    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return await read_bounded(receive, limit)


async def test_every_member_of_a_packed_body_is_read() -> None:
    assert await read(gzip.compress(b'{"a": ') + gzip.compress(b"1}")) == b'{"a": 1}'
    assert await read(gzip.compress(b"{}") + b"\0\0") == b"{}"


async def test_the_bounds_hold_for_all_members_together() -> None:
    with pytest.raises(BodyTooLarge):
        await read(gzip.compress(b"x" * 600) * 2)
    with pytest.raises(BodyUnreadable):
        await read(gzip.compress(b"") * 100, limit=10_000)
    with pytest.raises(BodyUnreadable):
        await read(gzip.compress(b"{}") + gzip.compress(b"{}")[:-3])


def test_endless_texts_are_not_remembered() -> None:
    def remembered() -> list[int]:
        return [cache.cache_info().currsize for cache in (contact_points._email, contact_points._phone)]

    before = remembered()
    assert contact_points.canonical_email("a" * 30_000 + "@seed.example") is None
    assert contact_points.canonical_phone("1" * 30_000, None) is None
    assert remembered() == before
