"""Whatever befalls the database, clients hear 503 in time, and Leadline goes on by itself afterwards."""

import asyncio
import signal
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import asyncpg
import pytest

from leadline.cli.app import run
from leadline.cli.exit_codes import UNREACHABLE
from tests.e2e.doors import (
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
from tests.support.running import NO_SPOOL, RunningLeadline, end_database, frozen, start


@pytest.fixture(scope="module")
def leadline() -> Iterator[RunningLeadline]:
    # Outside pytest's own folder, which every pytest that starts on the machine closes to the server's user.
    with tempfile.TemporaryDirectory(prefix="leadline-faults-") as folder:
        running = start(Path(folder) / "data", variables=NO_SPOOL)
        try:
            yield running
        finally:
            running.stop()
            end_database(running.data_dir)


@asynccontextmanager
async def administrator(leadline: RunningLeadline) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    connection = await asyncpg.connect(url_of(leadline), timeout=10)
    try:
        yield connection
    finally:
        connection.terminate()


def url_of(leadline: RunningLeadline) -> str:
    return f"postgresql://postgres@/leadline?host={leadline.data_dir / 'postgres'}"


@pytest.fixture(autouse=True)
async def well_before_and_after(leadline: RunningLeadline) -> AsyncIterator[None]:
    """Each fault meets a Leadline that is well; afterwards it is so again, leads and all."""
    await well(leadline)
    yield
    await well(leadline)
    form = {"email": f"{uuid.uuid4().hex}@faults.example", "message": "After the fault"}
    answer = await asyncio.to_thread(leadline.send, "POST", FORM[2], scope="ingest", json=form)
    assert answer.is_success

    def scored() -> bool:
        return bool(leadline.get("/v1/leads", email=form["email"])["data"])

    await eventually(scored, timeout_seconds=30, what="the lead of a new form")


@pytest.fixture
async def same_processes(well_before_and_after: None, leadline: RunningLeadline) -> AsyncIterator[None]:
    """The fault is survived by the very processes that met it."""
    before = pids(leadline)
    yield
    await well(leadline)
    assert pids(leadline) == before


@pytest.mark.usefixtures("same_processes")
async def test_a_read_only_database_takes_nothing_in_and_is_said_to_be_so(leadline: RunningLeadline) -> None:
    async with administrator(leadline) as connection:
        await connection.execute("ALTER SYSTEM SET default_transaction_read_only = on")
        await connection.execute("SELECT pg_reload_conf()")

        async def shut() -> bool:
            return refused(await ask_all(leadline, [TRACK, FORM, READY]))

        try:
            await eventually(shut, what="503 at every door that writes")
            heard = await ask_all(leadline, [LEADS, HANDOFFS, STATUS, READY])
            assert [one.status for one in heard] == [200, 200, 200, 503]
            assert '"database":"read-only"' in body_of(heard, READY)
            assert '"database":"read-only"' in body_of(heard, STATUS)
        finally:
            await connection.execute("SET default_transaction_read_only = off")
            await connection.execute("ALTER SYSTEM RESET default_transaction_read_only")
            await connection.execute("SELECT pg_reload_conf()")


@pytest.mark.usefixtures("same_processes")
async def test_a_database_without_free_connections_is_waited_for(leadline: RunningLeadline) -> None:
    held: list[asyncpg.Connection[asyncpg.Record]] = []

    async def take_whatever_is_free() -> None:
        while True:
            with suppress(asyncpg.TooManyConnectionsError):
                held.append(await asyncpg.connect(url_of(leadline), timeout=10))

    async def all_taken() -> bool:
        others = (
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name LIKE $1"
        )
        return len(held) > 100 and not await held[0].fetchval(others, "leadline%")

    takers = [asyncio.create_task(take_whatever_is_free()) for _ in range(6)]
    try:
        await eventually(all_taken, timeout_seconds=20, what="every connection in our hands")
        heard = await ask_all(leadline)
        refused(heard)
        assert '"database":"has no free connection"' in body_of(heard, READY)
    finally:
        for taker in takers:
            taker.cancel()
        await asyncio.wait(takers)
        for connection in held:
            connection.terminate()


@pytest.mark.usefixtures("same_processes")
async def test_a_log_that_somebody_locks_is_not_waited_for(leadline: RunningLeadline) -> None:
    async with administrator(leadline) as connection, connection.transaction():
        await connection.execute("SELECT FROM bus.head FOR UPDATE")
        refused(await ask_all(leadline, [TRACK] * 5))
        (form,) = await ask_all(leadline, [FORM])
        assert form.status in (200, 202)


@pytest.mark.usefixtures("same_processes")
async def test_a_frozen_database_hangs_nobody_and_status_says_so(
    leadline: RunningLeadline, capsys: pytest.CaptureFixture[str]
) -> None:
    with frozen(leadline):
        heard = await ask_all(leadline)
        refused(heard)
        assert '"database":"does not answer"' in body_of(heard, READY)
        status = ["status", "--url", leadline.url, "--key", leadline.ready["keys"]["read"]]
        assert await asyncio.to_thread(run, status) == UNREACHABLE
    assert "The database does not answer" in capsys.readouterr().err


async def test_processes_that_start_while_the_database_is_away_wait_for_it(leadline: RunningLeadline) -> None:
    with frozen(leadline):
        before = pids(leadline)
        leadline.kill("api")
        leadline.kill("work")

        async def answered() -> bool:
            now = pids(leadline)
            assert len(now) == 2
            assert not before.items() & now.items()
            heard = await ask_all(leadline, [READY])
            return '"database":"does not answer yet"' in body_of(heard, READY)

        await eventually(answered, timeout_seconds=20, what="an answer of the new api")
        refused(await ask_all(leadline))
        waiting = pids(leadline)
    await well(leadline)
    assert pids(leadline) == waiting


@pytest.mark.usefixtures("same_processes")
async def test_a_restart_of_the_database_is_survived(leadline: RunningLeadline) -> None:
    leadline.postgres().send_signal(signal.SIGINT)
    await answered_or_refused_until_well(leadline)


@pytest.mark.usefixtures("same_processes")
async def test_a_killed_database_is_started_again(leadline: RunningLeadline) -> None:
    leadline.kill("postgres")
    await answered_or_refused_until_well(leadline)


async def answered_or_refused_until_well(leadline: RunningLeadline) -> None:
    """Keep asking: each answer comes in time and is either what it should be or a 503."""

    async def all_well() -> bool:
        heard = await ask_all(leadline)
        refused([one for one in heard if one.status not in (200, 201, 202, 404)])
        return all(one.status != 503 for one in heard)

    await eventually(all_well, timeout_seconds=20, what="every door open again")
