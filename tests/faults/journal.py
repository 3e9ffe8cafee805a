"""What the clients did and were told: a JSON line for each attempt and each answer, with all of its ids."""

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

# `unknown`: no answer, or one that promises nothing; it may have happened or not.
Outcome = Literal["invoke", "ok", "fail", "unknown"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One id of a line. `op` says what kind of operation, `id` which one; `told` is what `via` answered."""

    at: float
    op: str
    id: str
    outcome: Outcome
    told: Any = None
    via: str = ""


class Journal:
    """Appends lines; threads share it. Every line is handed to the operating system at once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("a", buffering=1)
        self._lock = threading.Lock()

    def note(self, op: str, ids: list[str], outcome: Outcome, told: Any = None, via: str = "") -> None:
        """Write one line for all `ids`."""
        line = {"at": time.time(), "op": op, "outcome": outcome, "told": told, "via": via, "ids": ids}
        text = json.dumps(line) + "\n"
        with self._lock:
            self._file.write(text)

    def close(self) -> None:
        self._file.close()


def read(path: Path) -> Iterator[Entry]:
    """Return the entries of a journal in the order in which they were written, one for each id."""
    with path.open() as lines:
        for line in lines:
            noted = json.loads(line)
            ids = noted.pop("ids")
            yield from (Entry(id=one, **noted) for one in ids)
