"""One wired ingest for each test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from tests.support.ingest_world import IngestWorld, ingest_world


@pytest_asyncio.fixture
async def world(database_url: str, tmp_path: Path) -> AsyncIterator[IngestWorld]:
    """Ingest on a database of its own."""
    async with ingest_world(database_url, tmp_path) as opened:
        yield opened
