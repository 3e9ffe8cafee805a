"""A clock that stands still until a test moves it."""

from datetime import UTC, datetime, timedelta


class FakeClock:
    """A Clock for tests: `clock.advance(minutes=5)`, `clock.set(instant)`."""

    def __init__(self, now: datetime = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)) -> None:
        self._now = now

    def now(self) -> datetime:
        return self._now

    def set(self, now: datetime) -> None:
        """Go to `now`, which must be aware."""
        assert now.tzinfo is not None
        self._now = now.astimezone(UTC)

    def advance(self, **delta: float) -> datetime:
        """Go on by a timedelta given as its keywords; return the new instant."""
        self._now += timedelta(**delta)
        return self._now
