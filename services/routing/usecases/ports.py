"""What the use cases need of the world, in batches. Lock order: leads, teams, people, queues."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from services.routing.domain.decide import Roster
from services.routing.domain.lifecycle import Handoff
from services.routing.domain.policy import Policy
from services.routing.usecases.desk import Desk, Terms
from services.routing.usecases.lead_file import LeadFile
from services.routing.usecases.person_row import PersonRow


class Store(Protocol):
    """Routing's tables inside one open transaction."""

    async def terms(self) -> Terms:
        """Return what holds at this instant (the database's)."""
        ...

    async def resolve(self, lead_ids: Sequence[str]) -> Mapping[str, str]:
        """Return the survivor of each redirected id."""
        ...

    async def splits(self, lead_ids: Sequence[str]) -> Mapping[str, str]:
        """Return, of leads made by an unmerge, the lead each was split off."""
        ...

    async def lock(
        self, lead_ids: Sequence[str], *, create_at: datetime | None = None, skip: bool = False
    ) -> dict[str, LeadFile]:
        """Lock leads, sorted; make unknown ones at `create_at`; `skip` leaves out those held elsewhere."""
        ...

    async def handoffs(self, handoff_ids: Sequence[str]) -> Mapping[str, Handoff]:
        """Return hand-offs by id."""
        ...

    async def roster(
        self, policy: Policy, team_ids: Sequence[str], person_ids: Sequence[str], now: datetime
    ) -> Roster:
        """Lock teams, then people, and return their state. `person_ids`: people asked for by name."""
        ...

    async def people(self, person_ids: Sequence[str] | None, *, lock: bool) -> dict[str, PersonRow]:
        """Return people, all where no ids are given."""
        ...

    async def line(self, queue: str, limit: int, offset: int) -> Sequence[str]:
        """Return leads of a queue in the order of service: highest score, then oldest."""
        ...

    async def settle_queue(self, queue: str, turn: int, wakes_at: datetime | None) -> bool:
        """Set a queue's next wake, unless it was woken since `turn`."""
        ...

    async def save(self, desk: Desk) -> None:
        """Write all that the desk has changed, its events included; wake queues last."""
        ...

    async def said(self, handoff_id: str, act: str, actor: str) -> Mapping[str, Any] | None:
        """Return the answer given when this actor did this act before."""
        ...

    async def say(self, handoff_id: str, act: str, actor: str, at: datetime, body: Mapping[str, Any]) -> None:
        """Remember the answer to an act."""
        ...
