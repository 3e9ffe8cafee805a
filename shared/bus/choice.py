"""Opens the bus that the settings name: the one place that knows which adapters there are."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from shared.bus.port import Bus
from shared.bus.postgres import PostgresBus, open_postgres_bus
from shared.contracts.topics import ServiceName

if TYPE_CHECKING:
    import asyncpg

    from shared.bus.kafka.options import KafkaOptions
    from shared.settings import ServiceSettings

    Pool = asyncpg.Pool[asyncpg.Record]


@asynccontextmanager
async def open_bus(
    settings: "ServiceSettings", service: ServiceName, *, role: str | None = ""
) -> AsyncIterator[Bus]:
    """Open the bus for a service that sends and reads all the time. `role` as in `shared.db.pool`."""
    if settings.bus == "kafka":
        # Imported here: who has no Kafka pays nothing for it.
        from shared.bus.kafka.bus import open_kafka_bus

        async with open_kafka_bus(kafka_options(settings)) as kafka:
            yield kafka
    else:
        async with open_postgres_bus(settings.database(), service=service, role=role) as bus:
            yield bus


@asynccontextmanager
async def open_seldom(settings: "ServiceSettings | None", pool: "Pool") -> AsyncIterator[Bus]:
    """Open the bus for whoever looks now and then; on Postgres (also: None) `pool` serves for it."""
    if settings is not None and settings.bus == "kafka":
        from shared.bus.kafka.bus import open_kafka_bus

        async with open_kafka_bus(kafka_options(settings)) as kafka:
            yield kafka
    else:
        bus = PostgresBus(pool)
        try:
            yield bus
        finally:
            await bus.close()


def kafka_options(settings: "ServiceSettings") -> "KafkaOptions":
    """Return how the settings say to reach the cluster."""
    from shared.bus.kafka.options import KafkaOptions

    password = settings.kafka_password
    return KafkaOptions(
        bootstrap=settings.kafka_bootstrap,
        prefix=settings.kafka_prefix,
        security=settings.kafka_security,
        mechanism=settings.kafka_mechanism,
        username=settings.kafka_username,
        password=None if password is None else password.get_secret_value(),
        ca_file=settings.kafka_ca_file,
        session_seconds=settings.kafka_session_seconds,
    )


def settings_of_bus() -> "ServiceSettings | None":
    """Return the settings where they name another bus than Postgres.

    For processes that read no settings else: loading what reads them takes longer than the rest of a start.
    """
    if os.environ.get("LEADLINE_BUS", "postgres") == "postgres":
        return None
    from shared.settings import ServiceSettings

    return ServiceSettings()


def describe(settings: "ServiceSettings | None") -> str:
    """Return in a few words where messages lie; no password in it."""
    if settings is not None and settings.bus == "kafka":
        return f"Apache Kafka at {settings.kafka_bootstrap}"
    return "postgres (in the same database)"
