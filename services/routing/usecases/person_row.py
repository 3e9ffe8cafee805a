"""What changes about a person while Leadline runs; name, zone, teams and skills come from the policy."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Absence:
    """Time off, half-open, aware UTC."""

    start: datetime
    end: datetime


@dataclass(slots=True)
class PersonRow:
    """A row of `person`. `weight` overrides the policy's; `version` is the ETag."""

    person_id: str
    presence: str
    time_off: list[Absence]
    weight: int | None
    active: bool
    in_rotation: bool
    version: int
    changed_at: datetime
