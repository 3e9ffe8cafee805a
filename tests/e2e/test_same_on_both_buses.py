"""The same events in two orders, posted to a Leadline on each bus: the same scores, line by line."""

import random
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from leadline.replay.puffy import messages, read_rows
from leadline.replay.run import settled
from tests.support.data_folder import data_file
from tests.support.eventually import eventually_sync
from tests.support.kafka import kafka_variables
from tests.support.running import RunningLeadline, running

PEOPLE = 40
NOW = datetime.now(UTC).replace(microsecond=0)
AS_OF = NOW + timedelta(days=3)


@pytest.fixture(scope="module")
def both(request: pytest.FixtureRequest) -> Iterator[tuple[RunningLeadline, RunningLeadline]]:
    with tempfile.TemporaryDirectory(prefix="leadline-both-") as folder, ExitStack() as stack:
        on_postgres = stack.enter_context(running(Path(folder) / "postgres"))
        on_kafka = stack.enter_context(running(Path(folder) / "kafka", variables=kafka_variables(request)))
        yield on_postgres, on_kafka


def history(seed: int) -> list[dict[str, Any]]:
    """Return what some people did in the last weeks: visits without a name, sign-ups, shared devices."""
    rng = random.Random(seed)
    told: list[dict[str, Any]] = []
    for number in range(PEOPLE * 12):
        person, device = rng.randrange(PEOPLE), rng.randrange(PEOPLE)
        message = {
            "messageId": f"both-{number}",
            "anonymousId": f"device-{device}",
            "timestamp": (NOW - timedelta(minutes=rng.randrange(40_000))).isoformat(),
        }
        kind = rng.randrange(6)
        if kind == 0:
            email = f"person-{person}@both.example"
            traits = {"email": email, "company": f"Company {person % 7}", "country": "DE"}
            told.append({**message, "type": "identify", "userId": f"u-{person}", "traits": traits})
        elif kind < 4:
            told.append({**message, "type": "page", "name": rng.choice(["Pricing", "Home", "Docs"])})
        else:
            told.append({**message, "type": "track", "event": rng.choice(["Demo Requested", "Signed Up"])})
    return told


def post(leadline: RunningLeadline, told: list[dict[str, Any]], size: int) -> None:
    for first in range(0, len(told), size):
        body = {"batch": told[first : first + size]}
        answer = leadline.send("POST", "/v1/import", scope="ingest", json=body)
        assert answer.is_success, answer.text
    eventually_sync(
        lambda: settled(leadline.get("/v1/status")), timeout_seconds=120, what="all is worked off"
    )


def scores(leadline: RunningLeadline) -> dict[frozenset[tuple[str, str]], Any]:
    """Return every lead's score at one instant by its identities: ids of leads are minted, and differ."""
    found = {}
    cursor = None
    while True:
        page = leadline.get("/v1/leads", limit=100, **({"cursor": cursor} if cursor else {}))
        for listed in page["data"]:
            lead = leadline.get(f"/v1/leads/{listed['lead_id']}")
            score = leadline.get(f"/v1/leads/{listed['lead_id']}/score", as_of=AS_OF.isoformat())
            names = lead["identities"].items()
            found[frozenset((kind, value) for kind, values in names for value in values)] = {
                name: value for name, value in score.items() if name not in ("lead_id", "cut", "cycle")
            }
        cursor = page.get("next")
        if not cursor:
            return found


def test_the_same_events_give_the_same_scores_line_by_line(
    both: tuple[RunningLeadline, RunningLeadline],
) -> None:
    told = history(seed=5)
    post(both[0], told, 100)
    shuffled = told + told[::7]
    random.Random(6).shuffle(shuffled)
    post(both[1], shuffled, 37)
    on_postgres, on_kafka = map(scores, both)
    assert len(on_postgres) > PEOPLE / 2
    assert on_kafka == on_postgres
    for leadline in both:
        assert leadline.get("/v1/reconcile")["ok"]


def test_a_replay_of_a_real_shop_ends_the_same(both: tuple[RunningLeadline, RunningLeadline]) -> None:
    rows = read_rows(data_file("data", "puffy"))[:4000]
    told = list(messages(rows, timedelta(days=365)))
    for leadline in both:
        post(leadline, told, 500)
    counts = [
        {name: leadline.get("/v1/status")["services"]["scoring"][name] for name in ("events", "leads")}
        for leadline in both
    ]
    assert counts[0] == counts[1]
    assert scores(both[0]) == scores(both[1])
