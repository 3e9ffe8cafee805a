"""Fixtures by name; none runs unless a test asks for it."""

from tests.support.kafka import kafka_bootstrap, kafka_broker, kafka_options
from tests.support.postgres import (
    database_url,
    empty_database_url,
    module_database_url,
    postgres_server,
    service_database,
)

__all__ = [
    "database_url",
    "empty_database_url",
    "kafka_bootstrap",
    "kafka_broker",
    "kafka_options",
    "module_database_url",
    "postgres_server",
    "service_database",
]
