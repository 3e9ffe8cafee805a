"""A process that has imported what every check needs, and forks for each run of pytest: seconds saved each.

Started by its path, so that nothing of the project is imported before a copy of it is. Talks in JSON lines.
"""

import importlib
import json
import os
import signal
import sys
import time
from typing import Any

# Other people's packages alone: the project's own come from the copy. What is missing costs time, no more.
PACKAGES = (
    "pytest", "_pytest.junitxml", "pytest_asyncio.plugin", "hypothesis", "asyncpg", "aiokafka",
    "psutil", "sqlalchemy.ext.asyncio",
    "alembic.command", "fastapi", "httpx2", "msgspec", "orjson", "structlog", "prometheus_client",
    "pydantic_settings",
    "yaml", "phonenumbers", "holidays", "email_validator", "publicsuffixlist", "crawlerdetect", "multipart",
)  # fmt: skip


def main() -> None:
    """Import, then run what is asked for, line by line, until the input ends."""
    # The folder of this file came with its path; modules must not be found there.
    del sys.path[0]
    for package in PACKAGES:
        try:
            importlib.import_module(package)
        except ImportError:
            continue
    for line in sys.stdin:
        print(json.dumps(_ended(json.loads(line))), flush=True)


def _ended(asked: dict[str, Any]) -> bool:
    """Run pytest in a child; return whether it came to an end within `seconds`."""
    child = os.fork()
    if child == 0:
        _become(asked)
    until = time.monotonic() + asked["seconds"]
    while os.waitpid(child, os.WNOHANG) == (0, 0):
        if time.monotonic() > until:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return False
        time.sleep(0.02)
    return True


def _become(asked: dict[str, Any]) -> None:
    """Run pytest on the copy in the folder `project`, and exit."""
    status = 70
    try:
        os.chdir(asked["project"])
        sys.path.insert(0, asked["project"])
        os.environ |= asked["environment"]
        said = os.open(asked["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(said, 1)
        os.dup2(said, 2)
        import pytest

        status = int(pytest.main(asked["arguments"]))
        sys.stdout.flush()
    finally:
        os._exit(status)


if __name__ == "__main__":
    main()
