"""Whoever gives up on a database that is slow to answer is free at once."""

import asyncio
import re
import tempfile
from pathlib import Path

import pytest

from shared.db.database import Database
from shared.db.pool import create_pool
from tests.support.fault_line import FaultLine, fault_line

FAR_AWAY_SECONDS = 30.0


async def test_a_cancelled_transaction_does_not_wait_for_its_rollback(database_url: str) -> None:
    found = re.search(r"host=([^&]+)", database_url)
    if found is None:
        pytest.skip("the server is not reached over a Unix socket")
    with (
        tempfile.TemporaryDirectory(prefix="leadline-slow-") as name,
        fault_line(Path(name) / ".s.PGSQL.5432", Path(found[1]) / ".s.PGSQL.5432") as line,
    ):
        pool = await create_pool(database_url.replace(found[1], name), service="ingest", max_size=1)
        try:
            await _give_up(Database(pool, "ingest"), line)
        finally:
            pool.terminate()


async def _give_up(database: Database, line: FaultLine) -> None:
    """Be cancelled in the middle of a transaction; fail where that takes longer than a moment."""
    async with asyncio.timeout(FAR_AWAY_SECONDS / 3):
        with pytest.raises(TimeoutError):
            await _ask_for_a_moment(database, line)
    line.delay = 0.0
    async with database.transaction() as tx:
        assert await tx.connection.fetchval("SELECT 1") == 1


async def _ask_for_a_moment(database: Database, line: FaultLine) -> None:
    async with asyncio.timeout(0.2), database.transaction() as tx:
        line.delay = FAR_AWAY_SECONDS
        await tx.connection.execute("SELECT 1")
