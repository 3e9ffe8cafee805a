"""A database that stands still, a full disk, kill -9: what the doors have taken in is a lead in the end."""

import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.doors import BODIES, FORM, PROMISE_SECONDS, TRACK, Heard, ask_all, refused, well
from tests.support.eventually import eventually
from tests.support.running import RunningLeadline, frozen, running, tell
from tests.support.small_disk import fill, small_disk

DISK_BYTES = 4 * 1024 * 1024


@pytest.fixture
def data() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="leadline-spool-") as folder:
        yield Path(folder) / "data"


@pytest.fixture
def leadline(data: Path) -> Iterator[RunningLeadline]:
    with running(data) as leadline:
        yield leadline


@pytest.fixture
def small_spool(data: Path) -> Iterator[Path]:
    (data / "spool").mkdir(parents=True)
    with small_disk(data / "spool", DISK_BYTES) as spool:
        yield spool


async def post(leadline: RunningLeadline) -> tuple[str, list[Heard]]:
    """Send a form and what its visitor did; return the address and the answers."""
    email = f"{uuid.uuid4().hex}@spool.example"
    bodies = {
        FORM: {"email": email, "message": "Hello"},
        TRACK: {"userId": email, "event": "Demo requested", "context": {"traits": {"email": email}}},
    }
    return email, await ask_all(leadline, [FORM, TRACK], BODIES | bodies)


def taken(heard: list[Heard]) -> bool:
    """Assert that all was taken in, in time."""
    wrong = [one for one in heard if one.status != 200 or one.seconds > PROMISE_SECONDS]
    assert not wrong, wrong
    return True


async def all_are_leads(leadline: RunningLeadline, emails: list[str]) -> None:
    missing = set(emails)

    def known() -> bool:
        missing.difference_update([e for e in missing if leadline.get("/v1/leads", email=e)["data"]])
        assert not missing, f"{len(missing)} of {len(emails)} are no lead: {tell(leadline.data_dir)}"
        return True

    await eventually(known, timeout_seconds=60, what="a lead of everything that was taken in")


async def test_kill_9_while_the_database_stands_still_loses_nothing(leadline: RunningLeadline) -> None:
    await well(leadline)
    accepted = []
    taken((await post(leadline))[1])
    with frozen(leadline):
        for _ in range(10):
            email, heard = await post(leadline)
            if taken(heard):
                accepted.append(email)
        assert heard[0].body.count('"spooled"') == 1
        leadline.kill("api")
    await well(leadline)
    await all_are_leads(leadline, accepted)
    status = leadline.get("/v1/status")["services"]["ingest"]["spool"]
    assert {place: waits["bytes"] for place, waits in status.items()} == {"activity": 0, "intake": 0}


async def test_an_api_that_starts_while_the_database_stands_still_takes_in(leadline: RunningLeadline) -> None:
    await well(leadline)
    accepted = []
    taken((await post(leadline))[1])
    with frozen(leadline):
        leadline.kill("api")

        async def takes_in() -> bool:
            email, heard = await post(leadline)
            if {one.status for one in heard} != {200}:
                return False
            accepted.append(email)
            return True

        await eventually(takes_in, timeout_seconds=30, what="both doors open")
    await well(leadline)
    await all_are_leads(leadline, accepted)


async def test_a_full_disk_is_a_503_until_there_is_room_again(
    small_spool: Path, leadline: RunningLeadline
) -> None:
    await well(leadline)
    accepted = []
    ballast = small_spool / "ballast"
    with frozen(leadline):
        accepted.append((await post(leadline))[0])
        fill(ballast)

        async def full() -> bool:
            email, heard = await post(leadline)
            if heard[0].status == 200:
                accepted.append(email)
            return refused(heard)

        await eventually(full, what="503 at both doors")
        ballast.unlink()
        email, heard = await post(leadline)
        assert taken(heard)
        accepted.append(email)
    await well(leadline)
    await all_are_leads(leadline, accepted)
