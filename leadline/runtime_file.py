"""`running.json` in the data directory: where the last `leadline up` listens, and its first keys."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RUNNING = "running.json"


@dataclass(frozen=True, slots=True)
class Running:
    """Address and keys (by scope) of a Leadline on this machine; `database_url` reaches its database."""

    url: str
    keys: Mapping[str, str]
    database_url: str


def write_running(data_dir: Path, running: Running) -> None:
    """Replace the file in one step; it is never readable to others, not even while it is written."""
    write_private(
        data_dir / RUNNING,
        {"url": running.url, "keys": dict(running.keys), "database_url": running.database_url},
    )


def read_running(data_dir: Path) -> Running | None:
    """Return what the last start wrote, None where there was none or it cannot be read."""
    found = read_private(data_dir / RUNNING)
    if found is None:
        return None
    return Running(found["url"], found["keys"], found["database_url"])


def write_private(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON to `path` with mode 0600, durable and in one step."""
    beside = path.with_suffix(".new")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as handle:
        json.dump(content, handle, indent=2)
        handle.flush()
        os.fsync(handle.fileno())
    beside.replace(path)


def read_private(path: Path) -> Mapping[str, Any] | None:
    """Return the JSON object in `path`, None where there is none."""
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
