"""A disk without room for the database: 503 in time, said in `status` and `/readyz`; then all goes on."""

import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.doors import (
    BODIES,
    FORM,
    HANDOFFS,
    LEADS,
    READY,
    STATUS,
    TRACK,
    ask_all,
    body_of,
    pids,
    refused,
    well,
)
from tests.support.eventually import eventually
from tests.support.running import NO_SPOOL, RunningLeadline, end_database, start, tell
from tests.support.small_disk import fill, small_disk

DISK_BYTES = 256 * 1024 * 1024


@pytest.fixture
def leadline() -> Iterator[RunningLeadline]:
    with tempfile.TemporaryDirectory(prefix="leadline-full-") as folder:
        data = Path(folder) / "data"
        (data / "postgres").mkdir(parents=True)
        with small_disk(data / "postgres", DISK_BYTES):
            running = start(data, variables=NO_SPOOL)
            try:
                yield running
            finally:
                running.stop()
                end_database(running.data_dir)


async def test_a_full_disk_takes_nothing_in_is_said_to_be_full_and_loses_nothing(
    leadline: RunningLeadline,
) -> None:
    await well(leadline)
    before, accepted = pids(leadline), []
    ballast = leadline.data_dir / "postgres" / "ballast"
    try:
        fill(ballast)

        async def shut() -> bool:
            email = f"{uuid.uuid4().hex}@full.example"
            form = {"email": email, "message": "Hello " * 2000}
            heard = await ask_all(leadline, [FORM, TRACK, READY], BODIES | {FORM: form})
            if heard[0].status in (200, 201, 202):
                accepted.append(email)
            else:
                refused(heard[:1])
            return refused(heard)

        await eventually(shut, timeout_seconds=60, what="503 at every door that writes")
        heard = await ask_all(leadline, [LEADS, HANDOFFS, STATUS, READY])
        assert [one.status for one in heard] == [200, 200, 200, 503]
        assert '"database":"full"' in body_of(heard, READY)
        assert '"database":"full"' in body_of(heard, STATUS)
    finally:
        ballast.unlink()
    await well(leadline)
    assert pids(leadline) == before, tell(leadline.data_dir)

    async def all_scored() -> bool:
        return all(leadline.get("/v1/leads", email=email)["data"] for email in accepted)

    await eventually(all_scored, timeout_seconds=60, what="a lead of every form that was accepted")
