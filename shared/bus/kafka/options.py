"""How to reach a cluster, and the settings of every client, each with its reason."""

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from shared.bus.port import Partition

Security = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
Mechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]

# Whoever waits must hear "not now" within 5 s, so the bus answers within 4 (DESIGN, promise 1).
CALL_SECONDS = 4.0
REQUEST_MS = 4000
JOIN_SPARE_MS = 2000
# The client wakes all who wait for each full batch; its default of 16 KiB costs five sixths of the rate.
MAX_BATCH_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class KafkaOptions:
    """A cluster and how to log on to it. `prefix`: before topics and groups, where it is shared."""

    bootstrap: str
    prefix: str = ""
    security: Security = "PLAINTEXT"
    mechanism: Mechanism = "PLAIN"
    username: str | None = None
    password: str | None = None
    ca_file: Path | None = None
    # Time without a heartbeat, and without a poll, after which a member has lost its partitions. The first is
    # also how long a group stands still after the death of a member; no batch of ours blocks for as long.
    session_seconds: float = 10.0
    longest_poll_seconds: float = 60.0

    def __post_init__(self) -> None:
        """Raise ValueError, naming the setting, where nobody could log on like this."""
        if self.security.startswith("SASL") and not (self.username and self.password):
            raise ValueError(
                f"LEADLINE_KAFKA_SECURITY={self.security} needs LEADLINE_KAFKA_USERNAME and"
                " LEADLINE_KAFKA_PASSWORD"
            )
        if self.ca_file is not None:
            try:
                ssl.create_default_context(cafile=self.ca_file)
            except OSError as fault:
                raise ValueError(
                    f"LEADLINE_KAFKA_CA_FILE={self.ca_file} holds no certificates ({fault})"
                ) from fault

    def client(self) -> dict[str, Any]:
        """Return the arguments that every client of the library takes."""
        return self.connection() | {
            "bootstrap_servers": self.bootstrap,
            # Brokers move; a client that finds out after five minutes would be away for as long.
            "metadata_max_age_ms": 30_000,
        }

    def connection(self) -> dict[str, Any]:
        """Return the arguments of a single connection: how to be let in, and how long to wait."""
        arguments: dict[str, Any] = {
            "security_protocol": self.security,
            "request_timeout_ms": REQUEST_MS,
        }
        if self.security in ("SSL", "SASL_SSL"):
            arguments["ssl_context"] = ssl.create_default_context(cafile=self.ca_file)
        if self.security.startswith("SASL"):
            arguments |= {
                "sasl_mechanism": self.mechanism,
                "sasl_plain_username": self.username,
                "sasl_plain_password": self.password,
            }
        return arguments

    def producer(self) -> dict[str, Any]:
        """Return the arguments of a producer.

        Idempotence stays off: with it sends hang while brokers are away, or fail for ever after a batch has
        expired unsent (aiokafka #1101, #1017). What is sent twice is told apart by its natural key.
        """
        return self.client() | {
            "acks": "all",
            "enable_idempotence": False,
            "max_batch_size": MAX_BATCH_BYTES,
            "max_request_size": 4 * MAX_BATCH_BYTES,
            "retry_backoff_ms": 50,
        }

    def reader(self) -> dict[str, Any]:
        """Return the arguments of a consumer. Positions are ours: never `latest`, never committed unasked."""
        return self.client() | {
            "auto_offset_reset": "none",
            "enable_auto_commit": False,
            # How long a fetch may wait on the broker; a partition that is resumed meanwhile waits for it too.
            "fetch_max_wait_ms": 100,
        }

    def member(self) -> dict[str, Any]:
        """Return the arguments of a consumer that is a member of a group."""
        session = int(self.session_seconds * 1000)
        return self.reader() | {
            "session_timeout_ms": session,
            "heartbeat_interval_ms": min(3000, session // 4),
            "rebalance_timeout_ms": session,
            # To join takes until a member that died is missed. Given up before that, each try would leave
            # another dead member behind, and the group would stand still for as long again.
            "request_timeout_ms": session + JOIN_SPARE_MS,
            "max_poll_interval_ms": int(self.longest_poll_seconds * 1000),
        }

    def topic(self, name: str) -> str:
        """Return the cluster's name of a topic of the registry."""
        return self.prefix + name

    def place(self, topic: str, number: int) -> Partition:
        """Return the port's partition for one of the cluster's."""
        return Partition(topic.removeprefix(self.prefix), number)
