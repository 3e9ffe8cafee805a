"""A lead travels from web form to salesperson through real processes, also while they are being killed."""

import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.e2e import stories
from tests.e2e.stories import Facts, Stories
from tests.support.eventually import eventually_sync
from tests.support.running import RunningLeadline, end_database, start

POLICY = Path(__file__).with_name("policy.yaml")

EXPECTED: dict[str, Facts] = {
    "visitor_who_is_accepted": {
        "state": "accepted",
        "cycle": 1,
        "handoffs": [(1, 1, None, True)],
        "path": [("nurturing", "qualified"), ("qualified", "assigned"), ("assigned", "accepted")],
        "activities": ["form", "page", "page", "page"],
    },
}


@pytest.fixture(scope="module")
def leadline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningLeadline]:
    running = start(tmp_path_factory.mktemp("leadline") / "data")
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
