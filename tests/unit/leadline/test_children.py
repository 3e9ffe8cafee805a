"""The supervisor's hold on its child processes."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from leadline.children import (
    FIRST_PAUSE_SECONDS,
    HEALTHY_AFTER_SECONDS,
    LONGEST_PAUSE_SECONDS,
    Child,
    ChildSpec,
    Pipes,
    next_pause,
)
from tests.support.eventually import eventually


@pytest.mark.parametrize(
    ("pause", "lived", "expected"),
    [
        (0.2, 0.0, 0.4),  # a crash at once: wait longer
        (4.0, 0.0, LONGEST_PAUSE_SECONDS),  # but never for long
        (4.0, HEALTHY_AFTER_SECONDS, FIRST_PAUSE_SECONDS),  # it had been well: start again quickly
    ],
)
def test_pauses_grow_while_a_child_keeps_crashing(pause: float, lived: float, expected: float) -> None:
    assert next_pause(pause, lived) == expected


def a_child(tmp_path: Path, said: list[str]) -> Child:
    """Return a child that serves files of an empty folder until it is told to end."""
    arguments = ("--bind", "127.0.0.1", "--directory", str(tmp_path), "0")
    spec = ChildSpec("files", arguments, {}, tmp_path / "files.log", module="http.server")
    return Child(spec, Pipes(), said.append)


def file_named_in(line: str) -> str:
    """Return what the file holds that a line about a child's end names."""
    return Path(line.rpartition("(why: ")[2].removesuffix(")")).read_text(encoding="utf-8")


async def test_a_child_that_is_killed_is_started_again(tmp_path: Path) -> None:
    said: list[str] = []
    child = a_child(tmp_path, said)
    stop = asyncio.Event()
    running = asyncio.create_task(child.run(stop))
    first = await eventually(lambda: child.pid, what="a first process")
    assert first is not None
    os.kill(first, signal.SIGKILL)
    second = await eventually(lambda: child.pid not in (None, first) and child.pid, what="a second one")
    assert second != first
    log = tmp_path / "files.log"
    assert said == [f"files ended (signal SIGKILL); starting it again in 0.2 s (why: {log})"]
    stop.set()
    await asyncio.wait_for(running, 20)
    assert child.pid is None


async def test_a_child_that_fails_is_told_of_with_the_file_that_says_why(tmp_path: Path) -> None:
    said: list[str] = []
    spec = ChildSpec("broken", ("--no-such-option",), {}, tmp_path / "broken.log", module="http.server")
    stop = asyncio.Event()
    running = asyncio.create_task(Child(spec, Pipes(), said.append).run(stop))
    await eventually(lambda: said, what="its end is told")
    stop.set()
    await asyncio.wait_for(running, 20)
    assert said[0].startswith("broken ended (status 2); ")
    assert "--no-such-option" in file_named_in(said[0])


async def test_stopping_drains_the_child_and_starts_no_other(tmp_path: Path) -> None:
    said: list[str] = []
    child = a_child(tmp_path, said)
    stop = asyncio.Event()
    running = asyncio.create_task(child.run(stop))
    await eventually(lambda: child.pid, what="a process")
    stop.set()
    await asyncio.wait_for(running, 20)
    assert (child.starts, said) == (1, [])
