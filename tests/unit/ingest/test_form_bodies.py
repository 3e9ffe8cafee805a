"""Bodies of forms are read by what they look like."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.ingest.domain.errors import Malformed
from services.ingest.domain.form_body import nested, read_body

MULTIPART = (
    b'--XyZ\r\nContent-Disposition: form-data; name="email"\r\n\r\nada@example.com\r\n'
    b'--XyZ\r\nContent-Disposition: form-data; name="interests[]"\r\n\r\na\r\n'
    b'--XyZ\r\nContent-Disposition: form-data; name="interests[]"\r\n\r\nb\r\n'
    b'--XyZ\r\nContent-Disposition: form-data; name="cv"; filename=""\r\n'
    b"Content-Type: application/octet-stream\r\n\r\n\r\n"
    b'--XyZ\r\nContent-Disposition: form-data; name="plan"; filename="plan.pdf"\r\n'
    b"Content-Type: application/pdf\r\n\r\n%PDF\x00\xff\r\n--XyZ--\r\n"
)


@pytest.mark.parametrize(
    ("raw", "body"),
    [
        (b'{"email": "a@b.example"}', {"email": "a@b.example"}),
        (b'\xef\xbb\xbf {"email": "a@b.example"}', {"email": "a@b.example"}),
        (b'[{"email": "a@b.example"}]', {"email": "a@b.example"}),
        (b"email=a%40b.example&interests=x&interests=y", {"email": "a@b.example", "interests": ["x", "y"]}),
        (b"first+name=%C3%81d%C3%A1&empty=", {"first name": "Ádá", "empty": ""}),
        (b"name=\xc1da", {"name": "Áda"}),
        (b"a[b][c]=1&a[b][d]=2&e[]=3&e[]=4", {"a": {"b": {"c": "1", "d": "2"}}, "e": ["3", "4"]}),
        (b"a=1&a[b]=2", {"a": "1", "a[b": "2"}),
        (b"email=a@b.example\r\nmessage=1\r\n2 & 3=\r\n", {"email": "a@b.example", "message": "1\n2 & 3="}),
        (MULTIPART, {"email": "ada@example.com", "interests": ["a", "b"], "plan": {"file": "plan.pdf"}}),
    ],
)  # fmt: skip
def test_known_shapes(raw: bytes, body: dict[str, Any]) -> None:
    assert read_body(raw) == body


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"   ", b"hello", b"[]", b"{}", b"[1,2]", b'["a"]', b"{", b"[" * 100_000, b"null",
        b"--X\r\n\r\n--X--", b"&".join(b"a%d=1" % number for number in range(3000)), b'[{"a": 1}, {"b": 2}]',
    ],
)  # fmt: skip
def test_what_no_form_sends_is_malformed(raw: bytes) -> None:
    with pytest.raises(Malformed):
        read_body(raw)


@pytest.mark.parametrize(
    ("raw", "detail"),
    [
        (b" ", "the body is empty"),
        (b"[]", "the body has no fields"),
        (b"{}", "the body has no fields"),
        (b"[{}]", "the body has no fields"),
        (b"[1]", "the body holds a number, not an object"),
        (b"[[1]]", "the body holds a list, not an object"),
        (b"[{}, {}]", "the body holds several submissions"),
        (b"[" * 100_000, "the body is nested too deeply"),
        (b'{"a": 1', "the body is not JSON (line 1, column 8)"),
    ],
)
def test_what_is_wrong_with_a_body_is_said(raw: bytes, detail: str) -> None:
    with pytest.raises(Malformed) as refused:
        read_body(raw)
    assert str(refused.value) == detail


@settings(deadline=None)
@given(st.binary(max_size=300) | st.text(alphabet='ab=&[]%{}":,-\r\n', max_size=200).map(str.encode))
def test_any_bytes_are_a_body_or_malformed(raw: bytes) -> None:
    try:
        assert isinstance(read_body(raw), dict)
    except Malformed:
        return


@settings(deadline=None)
@given(st.lists(st.tuples(st.text(alphabet="ab[]", min_size=1, max_size=8), st.text(max_size=3)), max_size=8))
def test_brackets_never_lose_a_value(pairs: list[tuple[str, str]]) -> None:
    def values(part: Any) -> list[str]:
        if isinstance(part, dict):
            return [found for inner in part.values() for found in values(inner)]
        if isinstance(part, list):
            return [found for inner in part for found in values(inner)]
        return [part]

    assert sorted(values(nested(pairs))) == sorted(value for _, value in pairs)
