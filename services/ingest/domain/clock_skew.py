"""When something happened, told by clocks that we do not trust."""

from datetime import UTC, datetime, timedelta
from typing import Any

from services.ingest.domain.errors import Unmappable

# Clocks before this instant are unset, not early.
_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
# Numbers above this are milliseconds: as seconds they would lie after the year 5000.
_SECONDS_END = 100_000_000_000


def parse_instant(value: Any) -> datetime | None:
    """Return an instant from ISO 8601 text or Unix seconds or milliseconds; None where it is neither."""
    try:
        if isinstance(value, str):
            parsed = datetime.fromisoformat(value.strip())
            if parsed.tzinfo is UTC:
                return parsed
            return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else _in_utc(parsed)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            seconds = value / 1000 if abs(value) >= _SECONDS_END else value
            return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return None


def _in_utc(parsed: datetime) -> datetime:
    try:
        return parsed.astimezone(UTC)
    except OverflowError:
        # At either end of time: a clock that is unset or forged, where some hours are neither here nor there.
        return parsed.replace(tzinfo=UTC)


def spelled(instant: datetime) -> str:
    """Return an instant in UTC as text, as all answers spell it."""
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def occurred_at(
    message: dict[str, Any], sent_at: Any, *, received_at: datetime, trust_clock: bool
) -> datetime:
    """Return when it happened: `received_at - (sentAt - originalTimestamp)`, never after `received_at`.

    `trust_clock` (imports) takes the timestamp as it is. Raises Unmappable for an unreadable timestamp.
    """
    told = message.get("originalTimestamp") or message.get("timestamp")
    if told is None:
        return received_at
    original = parse_instant(told)
    if original is None:
        fault = "timestamp is neither an ISO 8601 instant nor Unix seconds or milliseconds"
        raise Unmappable("invalid_timestamp", fault, "/timestamp")
    sent = None if trust_clock or sent_at is None else parse_instant(sent_at)
    if sent is None:
        return _within(original, received_at)
    # A message cannot be sent before it happened: such clocks tell nothing about the delay.
    delay = max(sent - original, timedelta(0))
    try:
        return _within(received_at - delay, received_at)
    except OverflowError:
        return received_at


def _within(instant: datetime, received_at: datetime) -> datetime:
    return received_at if instant > received_at or instant < _EARLIEST else instant
