"""Settings of routing."""

from pydantic import Field

from shared.settings import ServiceSettings


class RoutingSettings(ServiceSettings):
    """What routing needs beyond what every service needs."""

    feed_days: int = Field(default=30, ge=1, description="Days for which the public feed's events are kept.")
