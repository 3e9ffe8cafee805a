"""The registry of topics: who owns each, how it is keyed and kept, who reads it. This is the system map."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

ServiceName = Literal["ingest", "scoring", "routing"]
SERVICES: tuple[ServiceName, ...] = ("ingest", "scoring", "routing")


@dataclass(frozen=True, slots=True)
class Topic:
    """One stream of messages. `consumers` are services, each its own consumer group."""

    name: str
    owner: ServiceName
    key: str
    partitions: int
    retention: timedelta
    consumers: tuple[ServiceName, ...]
    types: tuple[str, ...]


WEEK = timedelta(days=7)

ACTIVITY = Topic(
    name="leadline.activity",
    owner="ingest",
    key="person hint: anonymous id, else user id, else e-mail",
    partitions=8,
    retention=WEEK,
    consumers=("scoring",),
    types=("leadline.activity.recorded.v1",),
)
LEADS = Topic(
    name="leadline.leads",
    owner="scoring",
    key="lead id",
    partitions=8,
    retention=WEEK,
    # Ingest joins when erasures come: a group that never reads would keep the log from being trimmed.
    consumers=("routing",),
    types=("leadline.lead.scored.v1", "leadline.lead.merged.v1", "leadline.lead.unmerged.v1"),
)
HANDOFFS = Topic(
    name="leadline.handoffs",
    owner="routing",
    key="lead id",
    partitions=8,
    retention=WEEK,
    consumers=("scoring",),
    types=(
        "leadline.lead.qualified.v1",
        "leadline.lead.lifecycle_changed.v1",
        "leadline.handoff.assigned.v1",
        "leadline.handoff.accepted.v1",
        "leadline.handoff.contacted.v1",
        "leadline.handoff.stage_changed.v1",
        "leadline.handoff.closed.v1",
        "leadline.handoff.cycle_opened.v1",
        "leadline.sla.warned.v1",
        "leadline.sla.breached.v1",
        "leadline.sla.breach_corrected.v1",
        "leadline.sla.escalated.v1",
        "leadline.lead.merged.v1",
    ),
)
TOPICS: tuple[Topic, ...] = (ACTIVITY, LEADS, HANDOFFS)


def topic(name: str) -> Topic:
    """Return the registered topic of that name; KeyError names an unknown one."""
    for candidate in TOPICS:
        if candidate.name == name:
            return candidate
    raise KeyError(f"no topic {name!r} in the registry")


def consumer_group(service: ServiceName) -> str:
    """Return the group id under which a service reads the bus."""
    return f"leadline-{service}"
