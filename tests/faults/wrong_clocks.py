"""Clocks of processes that are set wrong while they run, by libfaketime where it is installed.

Only the wall clock of a process is changed: neither time-outs nor the database's clock, which is the one that
counts.
"""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

# Debian's package `libfaketime`; LEADLINE_FAKETIME names the library where it lies elsewhere.
PLACES = (
    "usr/lib/*/faketime/libfaketime.so.1",
    "usr/lib/faketime/libfaketime.so.1",
    "usr/lib*/libfaketime.so.1",
)
SHARED_MEMORY = Path("/dev/shm")
State = Literal["whole", "ahead", "behind", "a_second_ahead", "a_second_behind"]
OFFSETS: Mapping[State, str] = {
    "whole": "+0",
    "ahead": "+3600",
    "behind": "-3600",
    "a_second_ahead": "+1",
    "a_second_behind": "-1",
}


def faketime() -> Path | None:
    """Return the library, if there is one."""
    named = os.environ.get("LEADLINE_FAKETIME")
    found = [Path(named)] if named else [path for place in PLACES for path in Path("/").glob(place)]
    return next((path for path in found if path.exists()), None)


class WrongClock:
    """The clock of every process that has `variables`; it is right until it is set."""

    def __init__(self, file: Path, library: Path) -> None:
        self._file = file
        self.become("whole")
        self.variables: Mapping[str, str] = {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(file),
            # Looked at again each second; children and threads keep what was set.
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_RESET": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }

    def become(self, state: State) -> None:
        """Set the clock; processes notice within a second."""
        written = self._file.with_suffix(".new")
        written.write_text(OFFSETS[state] + "\n")
        written.replace(self._file)


def forget_shared(pid: int) -> None:
    """Remove what the library leaves in shared memory of a process that was killed."""
    for name in (f"faketime_shm_{pid}", f"sem.faketime_sem_{pid}"):
        (SHARED_MEMORY / name).unlink(missing_ok=True)


def wrong_clocks(folder: Path, names: Iterable[str]) -> Mapping[str, WrongClock]:
    """Return a clock for each name; none where the library is missing."""
    library = faketime()
    if library is None:
        return {}
    folder.mkdir(parents=True, exist_ok=True)
    return {name: WrongClock(folder / f"{name}.time", library) for name in names}
