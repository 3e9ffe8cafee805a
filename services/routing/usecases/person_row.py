"""What changes about a person while Leadline runs; name, zone, teams and skills come from the policy."""

from dataclasses import dataclass
from datetime import datetime

from services.routing.domain.policy import TimeOff


@dataclass(slots=True)
class PersonRow:
    """A row of `person`. `weight` overrides the policy's; `version` is the ETag."""

    person_id: str
    online: bool
    active: bool
    paused_until: datetime | None
    out_of_rotation_until: datetime | None
    time_off: list[TimeOff]
    weight: int | None
    version: int
    changed_at: datetime
