"""A lead travels from web form to salesperson through real processes, also while they are being killed."""

import random
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from tests.e2e import stories
from tests.e2e.stories import Facts, Stories
from tests.support.eventually import eventually_sync
from tests.support.kafka import kafka_variables
from tests.support.running import RunningLeadline, end_database, start

POLICY = Path(__file__).with_name("policy.yaml")

HANDED_OVER = [("nurturing", "qualified"), ("qualified", "assigned")]

EXPECTED: dict[str, Facts] = {
    "visitor_who_is_accepted": {
        "state": "accepted",
        "cycle": 1,
        "handoffs": [(1, 1, None, True)],
        "path": [*HANDED_OVER, ("assigned", "accepted")],
        "activities": ["form", "page", "page", "page"],
    },
    "lead_that_breaches": {
        "state": "assigned",
        "cycle": 1,
        "handoffs": [(1, 1, "timed_out", False), (1, 2, None, True)],
        "path": [*HANDED_OVER, ("assigned", "qualified"), ("qualified", "assigned")],
        "breaches": 2,
    },
    "lead_that_comes_back": {
        "state": "assigned",
        "cycle": 2,
        "handoffs": [(1, 1, "rejected", False), (2, 1, None, True)],
        "path": [*HANDED_OVER, ("assigned", "recycled"), ("recycled", "nurturing"), *HANDED_OVER],
    },
    "leads_that_merge": {
        "state": "assigned",
        "cycle": 1,
        "handoffs": [(1, 2, None, True)],
        "path": [*HANDED_OVER, ("nurturing", "assigned")],
        "merged": 1,
    },
}


@pytest.fixture(scope="module", params=["postgres", "kafka"])
def leadline(request: pytest.FixtureRequest) -> Iterator[RunningLeadline]:
    # Not pytest's own folder: another run of pytest would close it to the user PostgreSQL runs as.
    with tempfile.TemporaryDirectory(prefix="leadline-lives-") as folder:
        variables = kafka_variables(request) if request.param == "kafka" else {}
        running = start(Path(folder) / "data", variables=variables)
        try:
            answer = running.send(
                "PUT",
                "/v1/policies",
                scope="admin",
                content=POLICY.read_bytes(),
                headers={"content-type": "application/yaml"},
            )
            assert answer.is_success, answer.text
            yield running
        finally:
            running.stop()
            end_database(running.data_dir)


def tell_all(leadline: RunningLeadline, name: str) -> dict[str, Facts]:
    """Tell the stories side by side; return how each ended."""
    told = Stories(leadline, name)
    with ThreadPoolExecutor(len(stories.ALL)) as tellers:
        running = {story.__name__: tellers.submit(story, told) for story in stories.ALL}
        return {story: future.result() for story, future in running.items()}


def clean(leadline: RunningLeadline) -> bool:
    """Return whether the reconciliation finds nothing wrong; the assertion says what, if not."""
    answer = leadline.get("/v1/reconcile")
    wrong = [finding for finding in answer["findings"] if finding["problems"]]
    assert answer["ok"], wrong
    assert sum(finding["checked"] for finding in answer["findings"]) > 0
    return True


class Killer(threading.Thread):
    """Kills each process once with SIGKILL, in an order and at moments drawn from `seed`."""

    def __init__(self, leadline: RunningLeadline, seed: int) -> None:
        super().__init__(name="killer")
        self._leadline = leadline
        self._rng = random.Random(seed)
        self.killed: list[str] = []

    def run(self) -> None:
        victims = ["api", "work", "postgres", "up"]
        self._rng.shuffle(victims)
        for victim in victims:
            time.sleep(self._rng.uniform(0.2, 2.5))
            self._leadline.kill(victim)
            self.killed.append(victim)
            if victim == "up":
                self._leadline.start_again()


def test_four_lives_run_their_course(leadline: RunningLeadline) -> None:
    assert tell_all(leadline, "calm") == EXPECTED
    assert eventually_sync(lambda: clean(leadline), timeout_seconds=30)


@pytest.mark.parametrize("seed", [7, 11])
def test_with_every_process_killed_the_four_lives_end_the_same(leadline: RunningLeadline, seed: int) -> None:
    killer = Killer(leadline, seed)
    killer.start()
    try:
        ends = tell_all(leadline, f"killed-{seed}")
    finally:
        killer.join()
    assert sorted(killer.killed) == ["api", "postgres", "up", "work"]
    assert ends == EXPECTED
    assert eventually_sync(lambda: clean(leadline), timeout_seconds=60)


def test_no_event_of_the_feed_is_told_twice(leadline: RunningLeadline) -> None:
    seen: list[str] = []
    cursor = None
    while True:
        page = leadline.get("/v1/events", **({"after": cursor} if cursor else {}))
        if not page["data"]:
            break
        seen += [event["id"] for event in page["data"]]
        assert [event["sequence"] for event in page["data"]] == sorted(e["sequence"] for e in page["data"])
        cursor = page["next"]
    assert len(seen) == len(set(seen)) > 0


def test_no_log_names_a_person(leadline: RunningLeadline) -> None:
    logs = [*(leadline.data_dir / "logs").glob("*.log"), *leadline.data_dir.glob("postgres.log*")]
    assert len(logs) >= 3
    for log in logs:
        text = log.read_text(errors="replace")
        assert "@calm.example" not in text, log.name
        assert "show me a demo" not in text, log.name


def test_the_first_signal_drains_everything_it_started(leadline: RunningLeadline) -> None:
    children = [leadline.child("api"), leadline.child("work"), leadline.postgres()]
    assert leadline.stop() == 0
    assert [child for child in children if child is not None and lives(child)] == []


def lives(process: psutil.Process) -> bool:
    """Return whether a process runs; one that has ended but that nobody has waited for does not."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
