"""An office with two reps on a database of its own."""

import pytest_asyncio

from tests.integration.routing.desk_support import Office, a_policy
from tests.support.postgres import OpenService


@pytest_asyncio.fixture
async def office(service_database: OpenService) -> Office:
    opened = Office(await service_database("routing"))
    await opened.publish(a_policy())
    return opened
