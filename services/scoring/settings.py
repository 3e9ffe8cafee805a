"""Settings of scoring."""

from pydantic import Field

from shared.settings import ServiceSettings


class ScoringSettings(ServiceSettings):
    """What scoring needs beyond what every service needs."""

    scoring_batch: int = Field(
        default=2000, ge=1, le=5000, description="Most messages that scoring handles in one transaction."
    )
    scoring_lanes: int = Field(
        default=2, ge=1, le=8, description="Batches that one worker has under way at once."
    )
    hub_links: int = Field(
        default=50, ge=2, description="Neighbours from which an identity counts as a hub and joins no more."
    )
    decay_poll_seconds: float = Field(
        default=1.0, gt=0, description="How often scores that are due to change by time alone are looked for."
    )
