"""Instants that requests tell: read in any offset, kept and told again in UTC."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError


def _in_utc(told: datetime) -> datetime:
    if told.tzinfo is None:
        raise PydanticCustomError(
            "offset_missing", "an instant with its offset is needed, e.g. 2026-03-01T12:00:00Z"
        )
    try:
        return told.astimezone(UTC)
    except OverflowError:
        raise PydanticCustomError(
            "instant_out_of_range", "an instant of the years 1 to 9999 in UTC is needed"
        ) from None


# Told in another offset it would be answered in that one, and beyond these years nobody could compare it.
Instant = Annotated[datetime, AfterValidator(_in_utc)]
