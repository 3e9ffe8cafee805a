"""Settings of ingest."""

from pydantic import Field

from shared.settings import ServiceSettings


class IngestSettings(ServiceSettings):
    """What ingest needs beyond what every service needs."""

    max_event_bytes: int = Field(
        default=32 * 1024, ge=1024, description="Largest tracking message; a larger one is quarantined."
    )
    max_batch_bytes: int = Field(
        default=500_000, ge=1024, description="Largest tracking request, as sent and unpacked, in bytes."
    )
    max_batch_messages: int = Field(default=2500, ge=1, description="Most messages of one tracking request.")
    max_event_depth: int = Field(
        default=24, ge=2, description="Deepest nesting of a tracking message or form; deeper is quarantined."
    )
    max_event_values: int = Field(
        default=2000, ge=16, description="Most keys and values of a tracking message or form."
    )
    max_form_bytes: int = Field(
        default=2_000_000, ge=1024, description="Largest form submission, in bytes, attached files included."
    )
    bus_timeout_seconds: float = Field(
        default=4.0, gt=0, le=4.0, description="How long a tracking request waits for the bus before its 503."
    )
    spool: bool = Field(
        default=True,
        description="Keep what comes in on disk, under the data folder, while bus or database are away. Needs"
        " a volume that survives the process; `off`: senders hear 503 then, and try again.",
    )
    spool_after_seconds: float = Field(
        default=1.0,
        gt=0,
        le=1.5,
        description="How long a request waits before it is spooled.",
    )
    spool_max_bytes: int = Field(
        default=1024**3,
        ge=1024**2,
        description="Largest size of bus' and database's spool each, in bytes; then 503.",
    )
    receipt_days: int = Field(
        default=90, ge=1, description="Days for which raw submissions and settled quarantine items are kept."
    )
    site_write_key: str | None = Field(
        default=None, description="Public write key of the pages under /site; without one they send no views."
    )
    public_url_in_settings: bool = Field(
        default=False,
        description="Send browser libraries to `public_url` instead of the host that they asked.",
    )
