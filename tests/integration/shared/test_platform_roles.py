"""Each service reaches its own schema and the functions it is meant to call, nothing else."""

import asyncpg
import pytest

from shared.contracts.topics import SERVICES, ServiceName
from tests.support.postgres import OpenService


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_works_under_its_own_role(
    service_database: OpenService, service: ServiceName
) -> None:
    database = await service_database(service)
    async with database.connection() as connection:
        assert await connection.fetchval("SELECT current_user") == f"leadline_{service}"
        assert await connection.fetchval("SELECT platform.current_epoch()") == 1


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("table", ["api_key", "installation"])
async def test_a_service_cannot_read_the_platform_tables(
    service_database: OpenService, service: ServiceName, table: str
) -> None:
    database = await service_database(service)
    async with database.connection() as connection:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.fetch(f"SELECT * FROM platform.{table}")
