"""The compose file as `docker compose` reads it: by its own parser, compose-go, in a small program of Go."""

import functools
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PARSER = Path(__file__).with_name("compose_parser")
BUILD_SECONDS = 300.0


def parsed(**variables: str) -> subprocess.CompletedProcess[str]:
    """Return what the parser says of `docker-compose.yml` with these variables of ours set, no others."""
    others = {name: value for name, value in os.environ.items() if not name.startswith("LEADLINE_")}
    command = [str(_parser()), "docker-compose.yml"]
    return subprocess.run(
        command, cwd=ROOT, env=others | variables, capture_output=True, text=True, check=False, timeout=60
    )


@functools.cache
def services() -> dict[str, Any]:
    """Return the services of the compose file, with a password for tests."""
    told = parsed(LEADLINE_POSTGRES_PASSWORD="only-for-tests")
    assert told.returncode == 0, told.stderr
    found: dict[str, Any] = json.loads(told.stdout)["services"]
    return found


@functools.cache
def _parser() -> Path:
    if shutil.which("go") is None:
        pytest.skip("Go is not installed: the parser of `docker compose` cannot be built")
    program = Path(tempfile.gettempdir()) / f"leadline-compose-parser-{os.getuid()}"
    built = subprocess.run(
        ["go", "build", "-o", program, "."],
        cwd=PARSER,
        capture_output=True,
        text=True,
        check=False,
        timeout=BUILD_SECONDS,
    )
    if built.returncode:
        pytest.skip(f"the parser of `docker compose` cannot be built: {built.stderr.strip()[-200:]}")
    return program
