"""Cursors come back as they went out, and nothing else passes for one."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.web.cursor import decode, encode, page
from shared.web.problem import Problem


@given(
    st.datetimes(timezones=st.just(UTC)),
    st.text(st.characters(exclude_categories=["Cs"])),
    st.integers(0, 2**63 - 1),
)
def test_a_cursor_round_trips(instant: datetime, text: str, number: int) -> None:
    cursor = encode("leads", instant, text, number)
    assert decode("leads", cursor, (datetime, str, int)) == (instant, text, number)


@given(st.text(max_size=60))
def test_any_other_text_is_a_400(text: str) -> None:
    with pytest.raises(Problem, match="400 invalid_cursor"):
        decode("leads", text, (str,))


def test_a_cursor_of_another_list_is_refused() -> None:
    with pytest.raises(Problem, match="invalid_cursor"):
        decode("handoffs", encode("leads", "ld_1"), (str,))


def test_a_changed_cursor_is_refused() -> None:
    cursor = encode("leads", 100)
    changed = ("A" if cursor[-1] != "A" else "B").join([cursor[:-1], ""])
    with pytest.raises(Problem, match="invalid_cursor"):
        decode("leads", changed, (int,))


def test_a_value_of_another_type_is_refused() -> None:
    with pytest.raises(Problem, match="invalid_cursor"):
        decode("leads", encode("leads", "abc"), (int,))


def test_a_page_names_the_next_one_only_if_there_is_one() -> None:
    assert page([1, 2, 3], 2, str) == {"data": [1, 2], "next": "2"}
    assert page([1, 2], 2, str) == {"data": [1, 2], "next": None}
    assert page([], 2, str) == {"data": [], "next": None}
