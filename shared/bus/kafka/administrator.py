"""The library's admin client, opened and closed in time."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient

from shared.bus.kafka.ending import end_client, start
from shared.bus.kafka.faults import in_time
from shared.bus.kafka.options import KafkaOptions


@asynccontextmanager
async def administrator(options: KafkaOptions) -> AsyncIterator[Any]:
    """Open the library's admin client; raise BusUnavailable."""
    admin = AIOKafkaAdminClient(**options.client())
    try:
        await in_time(start(admin.start()))
        yield admin
    finally:
        await end_client(admin._client)
