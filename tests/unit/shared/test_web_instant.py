"""Instants of requests: one spelling, and a fault that says what is wrong."""

from datetime import UTC, datetime

import pytest
from pydantic import TypeAdapter, ValidationError

from shared.web.instant import Instant

READ: TypeAdapter[datetime] = TypeAdapter(Instant)


def test_an_instant_of_any_offset_is_kept_in_utc() -> None:
    read = READ.validate_python("2026-03-01T13:00:00+02:00")
    assert (read, read.tzinfo) == (datetime(2026, 3, 1, 11, tzinfo=UTC), UTC)


@pytest.mark.parametrize(
    ("told", "fault"),
    [
        ("2026-03-01T13:00:00", "an instant with its offset is needed, e.g. 2026-03-01T12:00:00Z"),
        ("0001-01-01T00:00:00+14:00", "an instant of the years 1 to 9999 in UTC is needed"),
        ("9999-12-31T23:59:59-14:00", "an instant of the years 1 to 9999 in UTC is needed"),
    ],
)
def test_what_is_no_instant_in_utc_is_told_in_plain_words(told: str, fault: str) -> None:
    with pytest.raises(ValidationError) as refused:
        READ.validate_python(told)
    assert [error["msg"] for error in refused.value.errors()] == [fault]
