"""The quick look at an item's JSON never passes what the careful walk would change or refuse."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.domain.errors import Unmappable
from services.ingest.domain.plain_values import Shape, encoded, parse_leniently, plain, surely_plain
from services.ingest.usecases.canonical import canonical

SHAPE = Shape(max_depth=4, max_values=12)
TEXTS = st.text() | st.sampled_from(["\x00", "\ud83d", "a\\u0000b", "NaN", "Infinity", "9" * 19, '"{[,'])
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
NUMBERS = st.integers() | st.sampled_from([2**63, 2**63 - 1, -(2**63) - 1, 10**18, 10**19, 2**64]) | FLOATS
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(TEXTS, inner, max_size=5),
    max_leaves=16,
)


@pytest.mark.parametrize("spell", [canonical, encoded])
@given(value=VALUES)
def test_what_is_surely_plain_is_left_as_it_is(spell: Any, value: Any) -> None:
    if surely_plain(spell(value), SHAPE):
        assert plain(value, SHAPE) == value


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_the_slow_spelling_shows_what_is_no_number(value: float) -> None:
    assert not surely_plain(encoded({"a": value}), SHAPE)


@pytest.mark.parametrize("text", [b'{"a": NaN}', b'{"a": -Infinity}', b'{"a": 1e999}', b'{"a": -1e999}'])
def test_no_parser_lets_through_what_is_no_number(text: bytes) -> None:
    assert parse_leniently(text) == {"a": None}
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(text)


@pytest.mark.parametrize(
    ("value", "code"),
    [([[[[[1]]]]], "too_deep"), ({str(number): number for number in range(12)}, "too_many_values")],
)
def test_what_is_just_too_much_is_seen(value: Any, code: str) -> None:
    assert not surely_plain(canonical(value), SHAPE)
    with pytest.raises(Unmappable) as refused:
        plain(value, SHAPE)
    assert refused.value.code == code


def test_what_just_fits_is_surely_plain() -> None:
    for value in ([[[[1]]]], {str(number): number for number in range(11)}):
        assert surely_plain(canonical(value), SHAPE)


@given(VALUES)
def test_the_canonical_spelling_is_the_same_for_every_order_of_keys(value: Any) -> None:
    def turned(part: Any) -> Any:
        if isinstance(part, dict):
            return {key: turned(part[key]) for key in reversed(part)}
        return [turned(item) for item in part] if isinstance(part, list) else part

    assert canonical(turned(value)) == canonical(value)
