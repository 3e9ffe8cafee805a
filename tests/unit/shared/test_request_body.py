"""Bodies are read within bounds, and JSON that others trip over is refused with a reason."""

import gzip
import json
import zlib
from collections.abc import Iterable
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Message, Receive, Scope

from shared.web.body import BodyLimits, ClientGone, parse_json, read_body, unpack
from shared.web.problem import Problem

SMALL = BodyLimits(max_bytes=1000, max_depth=5, max_keys=10)


def refused(raw: bytes, limits: BodyLimits = SMALL) -> Problem:
    with pytest.raises(Problem) as caught:
        parse_json(raw, limits)
    assert caught.value.status == 400
    return caught.value


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"", "not_json"),
        (b"   ", "not_json"),
        (b"{", "not_json"),
        (b"{'a': 1}", "not_json"),
        (b'{"a": 1} trailing', "not_json"),
        (b'{"a": 01}', "not_json"),
        (b'"\x01"', "not_json"),
        (b'{"a": NaN}', "json_nan"),
        (b"[-Infinity]", "json_nan"),
        (b"[1e400]", "json_number"),
        (b"1" * 5000, "json_number"),
        (b"[-" + b"7" * 5000 + b"]", "json_number"),
        (b'{"a": "\\ud83d"}', "json_surrogate"),
        (b'{"a": "\\udc00 x"}', "json_surrogate"),
        (b'{"\\ud800": 1}', "json_surrogate"),
        (b'{"a": "\xed\xa0\x80"}', "not_utf8"),
        (b"\xff\xfe{\x00}\x00", "not_utf8"),
        (b"[" * 100_000 + b"]" * 100_000, "json_depth"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "json_depth"),
        (b"[[[[[[1]]]]]]", "json_depth"),
        (orjson.dumps({str(number): number for number in range(11)}), "json_keys"),
        (b'{"a": 1, "a": 2}', "json_duplicate_key"),
        (b'{"a": 1, "\\u0061": 2}', "json_duplicate_key"),
        (b'[{"b": {"a": ":", "a": "\\":"}}]', "json_duplicate_key"),
        (b'"a\\u0000b"', "json_nul"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_poison_has_its_code(raw: bytes, code: str) -> None:
    assert refused(raw, BodyLimits(max_depth=5, max_keys=10)).code == code


def test_a_nul_is_named_by_its_place() -> None:
    problem = refused(b'{"properties": {"items": [1, "x\\u0000"]}}')
    assert problem.errors[0]["pointer"] == "/properties/items/1"


def test_a_problem_quotes_no_value() -> None:
    problem = refused(b'{"email": "anna@example.com\\u0000"}')
    assert b"anna" not in problem.body()


def test_text_that_only_looks_like_poison_is_accepted() -> None:
    value = {"a": 'NaN \\u0000 [[[[[[ {"b": 1, "b": 2}', "b": "\\", "c": '\\":'}
    assert parse_json(json.dumps(value).encode(), SMALL) == value


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=5),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSON, st.booleans(), st.sampled_from([None, 2]))
def test_whatever_is_json_within_the_limits_is_accepted_unchanged(
    value: Any, ascii_only: bool, indent: int | None
) -> None:
    raw = json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode()
    assert parse_json(raw) == value


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace")))
def test_any_bytes_are_a_value_or_a_400(raw: bytes) -> None:
    try:
        value, problem = parse_json(raw), None
    except Problem as caught:
        value, problem = None, caught
    if problem is not None:
        assert problem.status == 400
        assert problem.detail
    else:
        # What passed can be stored: it is JSON again, and none of its texts is too much for Postgres.
        assert orjson.loads(orjson.dumps(value)) == value
        assert "\x00" not in "".join(texts(value))


def texts(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts(item)


def receiver(messages: Iterable[Message]) -> Receive:
    waiting = iter(messages)

    async def receive() -> Message:
        return next(waiting)

    return receive


def request(**headers: str) -> Scope:
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {"type": "http", "headers": pairs}


def part(body: bytes, more: bool = False) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


async def test_a_body_in_parts_is_put_together() -> None:
    receive = receiver([part(b"ab", more=True), part(b"", more=True), part(b"c")])
    assert await read_body(request(), receive, SMALL) == b"abc"


async def test_a_declared_size_over_the_limit_is_refused_unread() -> None:
    with pytest.raises(Problem, match="413"):
        await read_body(request(content_length="1001"), receiver([]), SMALL)


async def test_bytes_are_counted_while_they_arrive_whatever_was_declared() -> None:
    endless = (part(b"x" * 600, more=True) for _ in range(1000))
    with pytest.raises(Problem, match="413"):
        await read_body(request(content_length="10"), receiver(endless), SMALL)


async def test_a_client_that_hangs_up_is_no_error_of_ours() -> None:
    with pytest.raises(ClientGone):
        await read_body(request(), receiver([part(b"a", more=True), {"type": "http.disconnect"}]), SMALL)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "raw-deflate", "identity", ""])
def test_each_encoding_is_undone(encoding: str) -> None:
    data = b'{"a": "' + b"x" * 500 + b'"}'
    raw = zlib.compressobj(wbits=-15)
    packed = {
        "gzip": gzip.compress(data),
        "deflate": zlib.compress(data),
        "raw-deflate": raw.compress(data) + raw.flush(),
        "identity": data,
        "": data,
    }[encoding]
    assert unpack(packed, encoding.removeprefix("raw-"), SMALL) == data


def test_a_bomb_is_refused_before_it_is_unpacked() -> None:
    bomb = gzip.compress(b"\0" * 50_000_000)
    with pytest.raises(Problem, match="413"):
        unpack(bomb, "gzip", SMALL)


@pytest.mark.parametrize(
    "packed",
    [b"not gzip", gzip.compress(b"data")[:-3], gzip.compress(b"data") + b"more", gzip.compress(b"a") * 2],
    ids=["garbage", "cut short", "followed", "two members"],
)
def test_damaged_or_followed_packing_is_refused(packed: bytes) -> None:
    with pytest.raises(Problem, match="400 bad_encoding"):
        unpack(packed, "gzip", SMALL)


def test_an_unknown_encoding_is_a_415() -> None:
    with pytest.raises(Problem, match="415"):
        unpack(b"x", "br", SMALL)
