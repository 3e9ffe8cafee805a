"""What failed for a fault of ours is tried again after growing pauses, so that it stops nothing else."""

from collections.abc import Callable, Collection

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0


class Setbacks:
    """Keys that failed, each with the time (seconds of `clock`) from which it is tried again."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._failed: dict[str, tuple[float, float]] = {}

    def __len__(self) -> int:
        return len(self._failed)

    def waits(self, key: str) -> bool:
        """Tell whether the key's pause still runs."""
        return key in self._failed and self._clock() < self._failed[key][0]

    def fail(self, key: str) -> float:
        """Set the key aside; return the pause in seconds: doubled at each failure, bounded."""
        last = self._failed[key][1] if key in self._failed else FIRST_PAUSE_SECONDS / 2
        pause = min(2 * last, LONGEST_PAUSE_SECONDS)
        self._failed[key] = self._clock() + pause, pause
        return pause

    def succeed(self, keys: Collection[str]) -> None:
        """Forget what these keys did before."""
        for key in keys:
            self._failed.pop(key, None)
