"""The doctor names what is wrong with an installation, and goes on to the rest where it can."""

import asyncpg
import pytest

from leadline.doctor import check_installation
from leadline.standalone import CannotStart, check_log
from shared.contracts.topics import ACTIVITY


async def checks(url: str) -> dict[str, tuple[str, str]]:
    return {check.name: (check.status, check.detail) for check in await check_installation(url)}


async def test_a_good_installation_has_no_failed_check(database_url: str) -> None:
    found = await checks(database_url)
    # A fresh database has no keys yet, which is a warning.
    assert "failed" not in {status for status, _ in found.values()}
    assert found[f"{ACTIVITY.name} -> scoring"][1].startswith("0 behind")


async def test_a_doctor_on_another_bus_than_the_services_says_so(database_url: str) -> None:
    await use_a_kafka(database_url)
    found = await checks(database_url)
    status, detail = found["log"]
    assert status == "failed"
    assert "a-kafka" in detail
    assert f"{ACTIVITY.name} -> scoring" not in found


async def test_nothing_starts_on_another_bus_than_before(database_url: str) -> None:
    await check_log(database_url)
    await use_a_kafka(database_url)
    with pytest.raises(CannotStart, match="a-kafka"):
        await check_log(database_url)


async def use_a_kafka(database_url: str) -> None:
    """Let the installation have used a log that is not that of PostgreSQL."""
    connection = await asyncpg.connect(database_url)
    try:
        await connection.fetchval("SELECT platform.agree_on_log('a-kafka')")
    finally:
        await connection.close()
