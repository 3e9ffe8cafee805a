"""What the use cases need of the world, in batches. Lock order: leads, teams, people, queues."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from services.routing.domain.decide import Roster
from services.routing.domain.lifecycle import Actor, Handoff
from services.routing.domain.policy import Policy
from services.routing.domain.sla import Clock
from services.routing.usecases.desk import Desk, Terms
from services.routing.usecases.lead_file import LeadFile
from services.routing.usecases.person_row import PersonRow

Page = dict[str, Any]


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
        self, lead_ids: Sequence[str], *, create: bool = False, skip: bool = False
    ) -> dict[str, LeadFile]:
        """Lock leads, sorted; `create` makes unknown ones; `skip` leaves out those held elsewhere.

        What holds now (`terms`) is asked after it: else an earlier instant would follow a later one.
        """
        ...

    async def handoffs(self, handoff_ids: Sequence[str]) -> Mapping[str, Handoff]:
        """Return hand-offs by id."""
        ...

    async def handoff_at(self, lead_id: str, at: datetime) -> Handoff | None:
        """Return the closed hand-off of a lead, or of one merged into it, that was open at an instant."""
        ...

    async def clocks_of(self, handoff_id: str) -> Sequence[Clock]:
        """Return all clocks of a hand-off, ended ones too."""
        ...

    async def roster(
        self,
        policy: Policy,
        team_ids: Sequence[str],
        person_ids: Sequence[str],
        now: datetime,
        *,
        lock: bool = True,
    ) -> Roster:
        """Return the state of teams and people, locked in this order. `person_ids`: asked for by name.

        To be locked once in a transaction, between its leads and its queues: `save` locks those.
        """
        ...

    async def people(self, person_ids: Sequence[str] | None, *, lock: bool) -> dict[str, PersonRow]:
        """Return people, all where no ids are given."""
        ...

    async def save_person(self, row: PersonRow) -> None:
        """Write a person and wake all queues."""
        ...

    async def held_by(self, person_ids: Sequence[str]) -> Mapping[str, list[str]]:
        """Name the open hand-offs of each person who has any."""
        ...

    async def next_policy_number(self) -> int:
        """Return the number of the version to come; nobody else publishes in this transaction."""
        ...

    async def install(self, policy: Policy, *, number: int, body: str, pushed_by: str) -> None:
        """Store and activate a version, make rows for its teams, people and queues, wake all queues."""
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

    async def park(
        self, lead_id: str, act: str, body: Mapping[str, Any], why: str, actor: Actor, at: datetime
    ) -> str:
        """Keep a command that could not be applied, visibly; return its id."""
        ...

    async def said(self, handoff_id: str, act: str, actor: str) -> str | None:
        """Return the answer given when this actor did this act before."""
        ...

    async def say(self, handoff_id: str, act: str, actor: str, at: datetime, body: str) -> None:
        """Remember the answer to an act."""
        ...


class Reads(Protocol):
    """What the HTTP reads show, JSON-ready. Pages hold one item more than `limit` if more follow."""

    async def handoffs(
        self, filters: Mapping[str, Any], after: tuple[Any, ...] | None, limit: int
    ) -> list[Page]:
        """Return hand-offs, newest first."""
        ...

    async def handoff(self, handoff_id: str) -> Page | None:
        """Return one hand-off with its lead's state and clocks."""
        ...

    async def clocks(
        self, filters: Mapping[str, Any], after: tuple[Any, ...] | None, limit: int
    ) -> list[Page]:
        """Return clocks by due instant."""
        ...

    async def people(self) -> list[Page]:
        """Return all people of the policy with their moving parts."""
        ...

    async def person(self, person_id: str) -> Page | None:
        """Return one of them."""
        ...

    async def decision(self, decision_id: str) -> Page | None:
        """Return a decision record."""
        ...

    async def queues(self) -> list[Page]:
        """Return the queues with their length and their oldest lead."""
        ...

    async def lead(self, lead_id: str) -> Page | None:
        """Return a lead's lifecycle: state, hand-offs, clocks, transitions, decisions; through redirects."""
        ...

    async def policy(self) -> Page | None:
        """Return the active policy's version, origin and text."""
        ...

    async def feed(self, after: int, limit: int, types: Sequence[str]) -> list[Page]:
        """Return events of the feed after a sequence number."""
        ...

    async def feed_range(self) -> tuple[int, int, int]:
        """Return (epoch, oldest sequence kept, last sequence given out)."""
        ...

    async def known_leads(self, lead_ids: Sequence[str]) -> set[str]:
        """Return those of the ids that routing knows, redirected ones included."""
        ...
