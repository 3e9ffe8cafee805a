"""Settings every service shares, read from the environment; `.env.example` lists them all."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.unusable_settings import UnusableSettings

_PREFIX = "LEADLINE_"


class ServiceSettings(BaseSettings):
    """Frozen, injected, never read again after start. Each service derives its own class from this one.

    Raises UnusableSettings where a value is none that its setting may have.
    """

    model_config = SettingsConfigDict(env_prefix=_PREFIX, frozen=True, extra="ignore")

    def __init__(self, **given: Any) -> None:
        try:
            super().__init__(**given)
        except ValidationError as refused:
            # Without its cause, which quotes values.
            raise UnusableSettings(
                [f"{_PREFIX}{str(error['loc'][0]).upper()}: {error['msg']}" for error in refused.errors()]
            ) from None

    database_url: SecretStr = Field(
        default=SecretStr("postgresql://localhost/leadline"),
        description="PostgreSQL 15 or newer, as asyncpg takes it (postgresql://user:password@host/database).",
    )
    bus: Literal["postgres", "kafka"] = Field(
        default="postgres",
        description="Where messages between services lie: `postgres` (a log in the database) or `kafka`.",
    )
    kafka_bootstrap: str = Field(
        default="127.0.0.1:9092", description="Brokers to begin with, as host:port, separated by commas."
    )
    kafka_prefix: str = Field(
        default="", description="What goes before the names of topics and groups on a cluster that is shared."
    )
    kafka_security: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        default="PLAINTEXT", description="How to connect to Kafka."
    )
    kafka_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        default="PLAIN", description="How to log on to Kafka where `kafka_security` says SASL."
    )
    kafka_username: str | None = Field(default=None, description="User of Kafka, for SASL.")
    kafka_password: SecretStr | None = Field(default=None, description="Password of that user.")
    kafka_ca_file: Path | None = Field(
        default=None, description="Certificates of the authority to trust, for SSL; default the system's."
    )
    kafka_session_seconds: float = Field(
        default=10.0,
        ge=0.5,
        description="Seconds without a sign of life after which a worker's partitions go to others; brokers"
        " allow 6 at least.",
    )
    data_dir: Path = Field(
        default=Path("data"),
        description="Folder for what must survive a restart outside the database: last-good API keys.",
    )
    public_url: str = Field(
        default="http://localhost:8080", description="How browsers and the CRM reach this installation."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Lowest level that is logged."
    )
    log_format: Literal["json", "plain"] = Field(
        default="json", description="`json`: one object a line; `plain`: for a terminal."
    )
    pool_min_size: int = Field(default=1, ge=0, description="Database connections a process keeps open.")
    pool_max_size: int = Field(
        default=10, ge=1, description="Most database connections of one process and service."
    )
    statement_timeout_ms: int = Field(
        default=10_000, ge=100, description="Longest time one SQL statement may take, in milliseconds."
    )
    max_body_bytes: int = Field(
        default=512 * 1024, ge=1024, description="Largest request body, as sent and unpacked, in bytes."
    )
    max_json_depth: int = Field(default=32, ge=2, description="Deepest nesting accepted in JSON.")
    max_json_keys: int = Field(default=20_000, ge=16, description="Most keys accepted in one JSON body.")
    auth_cache_seconds: float = Field(
        default=30.0, ge=0, description="How long a revoked key may still be accepted by a running process."
    )

    def database(self) -> str:
        """Return the database URL in the clear; never log it."""
        return self.database_url.get_secret_value()
