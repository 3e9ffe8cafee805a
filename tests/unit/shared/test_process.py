"""How a process ends: by a fault of a part, by being asked to, or by the death of its supervisor."""

import asyncio
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from shared import process
from shared.process import GATE_PIPE_VARIABLE, PARENT_PIPE_VARIABLE, RoleEnded, run_roles
from tests.support.eventually import eventually_sync


class Waits:
    """Runs until asked to stop; remembers that it finished its work in hand."""

    def __init__(self) -> None:
        self.finished = False

    async def run(self, stop: asyncio.Event) -> None:
        await stop.wait()
        await asyncio.sleep(0)
        self.finished = True


class Fails:
    async def run(self, stop: asyncio.Event) -> None:
        raise ConnectionError("gone")


class Returns:
    async def run(self, stop: asyncio.Event) -> None:
        return


class NeverEnds:
    async def run(self, stop: asyncio.Event) -> None:
        await asyncio.Event().wait()


async def test_a_part_that_fails_ends_the_others_and_is_raised() -> None:
    with pytest.raises(ConnectionError):
        await run_roles([("a", NeverEnds()), ("b", Fails())], asyncio.Event())


async def test_a_part_that_returns_unasked_is_a_fault() -> None:
    with pytest.raises(RoleEnded, match="relay"):
        await run_roles([("relay", Returns())], asyncio.Event())


async def test_asked_to_stop_every_part_finishes_what_it_has_in_hand() -> None:
    stop = asyncio.Event()
    parts = [Waits(), Waits()]
    running = asyncio.create_task(run_roles([("a", parts[0]), ("b", parts[1])], stop))
    await asyncio.sleep(0)
    stop.set()
    await running
    assert [part.finished for part in parts] == [True, True]


async def test_a_part_that_does_not_drain_is_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "DRAIN_SECONDS", 0.01)
    stop = asyncio.Event()
    stop.set()
    await asyncio.wait_for(run_roles([("a", NeverEnds())], stop), 5)


CHILD = """
import sys
from shared.process import run_process
async def main(stop):
    print("up", flush=True)
    await stop.wait()
    print("drained", flush=True)
sys.exit(run_process(main))
"""


def test_a_process_drains_when_the_pipe_of_its_supervisor_closes() -> None:
    reading, writing = os.pipe()
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD],
        stdout=subprocess.PIPE,
        text=True,
        pass_fds=(reading,),
        env={**os.environ, PARENT_PIPE_VARIABLE: str(reading)},
    )
    os.close(reading)
    assert child.stdout is not None
    assert child.stdout.readline() == "up\n"
    os.close(writing)
    output, _ = child.communicate(timeout=30)
    assert "drained\n" in output
    assert child.returncode == 0


WRONGLY_SET = """
import sys
from services.scoring.settings import ScoringSettings
from shared.observability.logging import configure_logging
from shared.process import run_process
async def main(stop):
    ScoringSettings()
configure_logging()
sys.exit(run_process(main))
"""


def test_a_process_that_ends_by_a_setting_says_by_which() -> None:
    env = {**os.environ, "LEADLINE_SCORING_LANES": "99", "LEADLINE_HUB_LINKS": "few"}
    ended = subprocess.run(
        [sys.executable, "-c", WRONGLY_SET], capture_output=True, text=True, env=env, check=False, timeout=30
    )
    assert ended.returncode == 1
    said = json.loads(ended.stderr)
    assert said["event"] == "process.unusable_settings"
    assert [fault.partition(":")[0] for fault in said["reason"]] == [
        "LEADLINE_SCORING_LANES",
        "LEADLINE_HUB_LINKS",
    ]
    assert "few" not in ended.stderr


def test_a_service_by_itself_names_the_setting_too() -> None:
    env = {**os.environ, "LEADLINE_SCORING_LANES": "many"}
    command = [sys.executable, "-m", "services.scoring", "--role", "worker"]
    ended = subprocess.run(command, capture_output=True, text=True, env=env, check=False, timeout=30)
    assert ended.returncode == 1
    assert ended.stderr.startswith("services.scoring: settings cannot be used: LEADLINE_SCORING_LANES: ")
    assert "many" not in ended.stderr


@pytest.fixture
def gated() -> Iterator[tuple["subprocess.Popen[str]", int]]:
    """A process before a closed gate, and the end of the pipe whose closing opens it."""
    reading, writing = os.pipe()
    child = subprocess.Popen(
        [sys.executable, "-c", 'print("loading", flush=True)\n' + CHILD],
        stdout=subprocess.PIPE,
        text=True,
        pass_fds=(reading,),
        env={**os.environ, GATE_PIPE_VARIABLE: str(reading)},
    )
    os.close(reading)
    assert child.stdout is not None
    assert child.stdout.readline() == "loading\n"
    yield child, writing
    child.kill()
    child.communicate()


def test_a_process_begins_when_its_gate_opens(gated: tuple["subprocess.Popen[str]", int]) -> None:
    child, writing = gated
    assert child.stdout is not None
    assert not select.select([child.stdout], [], [], 0.3)[0]
    os.close(writing)
    assert child.stdout.readline() == "up\n"


def test_a_process_that_is_stopped_before_its_gate_never_begins(
    gated: tuple["subprocess.Popen[str]", int],
) -> None:
    child, writing = gated
    # It may not listen to signals yet: then this ends it where it stands, which is as good.
    child.terminate()
    output, _ = child.communicate(timeout=20)
    assert output == ""
    assert child.returncode in (0, -signal.SIGTERM)
    os.close(writing)


def test_the_first_signal_drains_a_process() -> None:
    child = subprocess.Popen([sys.executable, "-c", CHILD], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "up\n"
    child.terminate()
    output, _ = child.communicate(timeout=30)
    assert "drained\n" in output
    assert child.returncode == 0


STUBBORN = """
import asyncio, sys
from shared.process import run_process
async def main(stop):
    print("up", flush=True)
    await stop.wait()
    print("draining", flush=True)
    await asyncio.Event().wait()
sys.exit(run_process(main))
"""


def test_two_signals_at_once_count_as_one_and_a_later_one_stops_at_once() -> None:
    child = subprocess.Popen([sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "up\n"
    child.send_signal(signal.SIGTERM)
    child.send_signal(signal.SIGINT)
    output = child.stdout
    eventually_sync(lambda: "draining" in output.readline(), timeout_seconds=20)

    def stopped() -> bool:
        child.send_signal(signal.SIGTERM)
        return child.poll() is not None

    eventually_sync(stopped, timeout_seconds=20)
    assert child.returncode == 130
    child.stdout.close()
