"""A database behind a slow line: every answer comes in time, and nothing hangs once it is fast again."""

import re
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.doors import (
    ACCEPT,
    BODIES,
    FORM,
    PROMISE_SECONDS,
    READY,
    ask_all,
    body_of,
    pids,
    refused,
    well,
)
from tests.support.eventually import eventually
from tests.support.fault_line import FaultLine, fault_line
from tests.support.running import NO_SPOOL, RunningLeadline, start

SOCKET = ".s.PGSQL.5432"


@pytest.fixture
def slow(database_url: str) -> Iterator[tuple[RunningLeadline, FaultLine]]:
    found = re.search(r"host=([^&]+)", database_url)
    if found is None:
        pytest.skip("the server is not reached over a Unix socket")
    with tempfile.TemporaryDirectory(prefix="leadline-slow-") as name:
        folder = Path(name)
        with fault_line(folder / SOCKET, Path(found[1]) / SOCKET) as line:
            url = database_url.replace(found[1], name)
            running = start(folder / "data", "--database", url, variables=NO_SPOOL)
            try:
                yield running, line
            finally:
                line.delay = 0.0
                running.stop()


@pytest.mark.parametrize("seconds", [0.1, 0.4, 3.0])
async def test_a_slow_database_is_waited_for_so_long_and_no_longer(
    slow: tuple[RunningLeadline, FaultLine], seconds: float
) -> None:
    leadline, line = slow
    await well(leadline)
    before, accepted = pids(leadline), []
    line.delay = seconds
    for _ in range(3):
        email = f"{uuid.uuid4().hex}@slow.example"
        heard = await ask_all(leadline, bodies=BODIES | {FORM: {"email": email, "message": "Hello"}})
        late = [one for one in heard if one.status != 503]
        refused([one for one in heard if one.status == 503])
        assert all(one.seconds <= PROMISE_SECONDS for one in late), late
        assert all(one.status in ((404,) if one.door == ACCEPT else (200, 201, 202)) for one in late), late
        accepted += [email for one in late if one.door == FORM]
    if seconds > 1:
        refused(heard)
        assert '"database":"does not answer"' in body_of(heard, READY)

    line.delay = 0.0
    await well(leadline)
    assert pids(leadline) == before

    async def all_scored() -> bool:
        return all(leadline.get("/v1/leads", email=email)["data"] for email in accepted)

    await eventually(all_scored, timeout_seconds=60, what="a lead of every form that was accepted")
