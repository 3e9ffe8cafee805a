"""When a run ends: after its time, once it has struck often enough; a slow machine gets more time."""

import time
from collections.abc import Callable

# After the faults have ended everything must be taken within this time.
HEALED_SECONDS = 60.0
MARGIN_SECONDS = 30.0
# A run lasts at most so many times as long as it was asked to.
LONGEST = 3


class Halt:
    """When to stop beginning something new, and when to give up what was begun. Threads share it."""

    def __init__(
        self, seconds: float, *, blows: int = 0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._seconds = seconds
        self._blows_to_go = blows
        self._clock = clock
        self._began = clock()
        self._ended: float | None = None

    def struck(self) -> None:
        """Count a blow."""
        self._blows_to_go -= 1

    def passed(self) -> float:
        """Return the seconds since the beginning."""
        return self._clock() - self._began

    def ending(self) -> bool:
        """Return whether nothing new is to be begun."""
        if self._ended is None:
            limit = self._seconds * (LONGEST if self._blows_to_go > 0 else 1)
            if self.passed() >= limit:
                self.end()
        return self._ended is not None

    def end(self) -> None:
        """Begin nothing new from now on, whatever time is left."""
        if self._ended is None:
            self._ended = self._clock()

    def given_up(self) -> bool:
        """Return whether what was begun will never be answered."""
        return self.ending() and self._clock() >= (self._ended or 0.0) + HEALED_SECONDS + MARGIN_SECONDS

    def pause(self) -> None:
        """Wait a little before the next attempt."""
        time.sleep(0.2)
