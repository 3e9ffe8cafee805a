"""Stopping a process of several threads: the signal returns before the last of them has stopped."""

from pathlib import Path

import psutil

from tests.support.eventually import eventually_sync

# Stopped, or ended and not yet waited for.
STILL = {"T", "Z", "X"}


def freeze(process: psutil.Process) -> None:
    """Return once no thread of `process` runs, so that what is asked of it afterwards is not answered."""
    process.suspend()
    eventually_sync(lambda: _states(process.pid) <= STILL, what=f"process {process.pid} stands still")


def _states(pid: int) -> set[str]:
    """Return the states of its threads (proc_pid_stat(5): the field after the name in parentheses)."""
    found = set()
    for stat in Path(f"/proc/{pid}/task").glob("*/stat"):
        try:
            found.add(stat.read_text().rpartition(") ")[2][0])
        except (FileNotFoundError, ProcessLookupError):  # a thread that ended meanwhile
            continue
    return found
