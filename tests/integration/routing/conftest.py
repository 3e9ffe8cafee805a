"""An office with two reps, or a whole routing with its roles running, on a database of its own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from services.routing.bootstrap import DEFAULT_POLICY
from tests.integration.routing.desk_support import Office, a_policy
from tests.integration.routing.http_support import ALWAYS_OPEN
from tests.support.postgres import OpenService
from tests.support.routing_world import RoutingWorld, routing_world


@pytest_asyncio.fixture
async def office(service_database: OpenService) -> Office:
    opened = Office(await service_database("routing"))
    await opened.publish(a_policy())
    return opened


@pytest_asyncio.fixture
async def world(database_url: str, tmp_path: Path) -> AsyncIterator[RoutingWorld]:
    async with routing_world(database_url, tmp_path) as opened:
        default = DEFAULT_POLICY.read_text(encoding="utf-8")
        text = ALWAYS_OPEN + default[default.index("\nsla:") :]
        answer = await opened.client.put(
            "/v1/policies", content=text, headers={"authorization": f"Bearer {opened.admin_key}"}
        )
        assert answer.status_code == 200, answer.text
        yield opened
