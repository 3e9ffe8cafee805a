"""What the use cases need from outside: stores that take batches, and the engines of one model version."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from services.scoring.domain.activity import Activity
from services.scoring.domain.compile import CompiledModel
from services.scoring.domain.features import TraitFact
from services.scoring.domain.identity import Identity, Pair
from services.scoring.domain.signals import DayCount
from services.scoring.domain.snapshot import Told
from shared.contracts.leads import LeadScored, RecentActivity
from shared.ids import new_lead_id


@dataclass(slots=True)
class Entry:
    """One activity ready to be stored; like it not frozen, for speed.

    `content`: what the columns do not hold, as plain data; `bot`: why it earns nothing.
    """

    activity: Activity
    signals: tuple[str, ...]
    content: Mapping[str, Any]
    bot: str | None = None
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """What the timeline already holds under an event id; `identities`: all that it names or links."""

    occurred_at: datetime
    body_hash: str
    identities: tuple[Identity, ...]
    owner: Identity


@dataclass(frozen=True, slots=True)
class LeadRow:
    """A locked lead. `published`: routing has heard of it."""

    lead_id: str
    created_at: datetime
    revision: int
    model_version: int
    merged_ids: tuple[str, ...]
    published: bool
    entered_event_id: str | None = None


@dataclass(slots=True)
class Locked:
    """Locked leads, who belongs to each, and which of the asked identities belong nowhere yet."""

    leads: dict[str, LeadRow]
    lead_of: dict[Identity, str]
    homeless: set[Identity]


@dataclass(frozen=True, slots=True)
class Merge:
    """`loser` is `survivor` from now on."""

    loser: str
    survivor: str


@dataclass(frozen=True, slots=True)
class Split:
    """Identities left `lead_id` for the newly minted `new_lead_id`."""

    lead_id: str
    new_lead_id: str


@dataclass(frozen=True, slots=True)
class Inputs:
    """All that the score and the snapshot of one lead depend on."""

    lead_id: str
    members: frozenset[Identity]
    counts: tuple[DayCount, ...]
    traits: tuple[TraitFact, ...]
    cycle: int
    cut: datetime | None
    revision: int
    merged_ids: tuple[str, ...]
    told: Told | None
    first_seen_at: datetime | None = None
    last_seen_at: datetime | None = None
    entered_event_id: str | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """How a lead stands after scoring: what lists and filters show. Scores in milli-points."""

    lead_id: str
    contactable: bool
    email: str | None
    company_domain: str | None
    fit: int
    engagement: int
    grade: str
    enters: bool
    holds: bool
    needs_data: bool
    cycle: int
    first_seen_at: datetime | None
    last_seen_at: datetime | None
    entered_event_id: str | None


@dataclass(frozen=True, slots=True)
class Announcement:
    """A snapshot to publish, and what it told, for comparison with the next one."""

    snapshot: LeadScored
    told: Told


@dataclass(frozen=True, slots=True)
class Trigger:
    """The activity that made a lead be scored anew."""

    event_id: str
    received_at: datetime


# From a lead's resolved traits and its e-mails to all that rules read.
DeriveFeatures = Callable[[Mapping[str, Any], Collection[str]], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Engine:
    """The active model version, compiled, and how features are derived; `epoch` is the installation's."""

    version: int
    compiled: CompiledModel
    features: DeriveFeatures
    epoch: int
    now: datetime
    hub_limit: int = 50
    new_lead_id: Callable[[], str] = new_lead_id


class IdentityStore(Protocol):
    """Identities and their links. All calls belong to one transaction."""

    async def lock(self, identities: Collection[Identity], now: datetime) -> None:
        """Create what is new and lock all, in the order of (kind, value)."""
        ...

    async def forget_links(self, event_ids: Collection[str]) -> None:
        """Drop the links of events whose body has been replaced."""
        ...

    async def add_links(self, entries: Sequence[Entry]) -> set[Identity]:
        """Store the links that the entries assert; return the ends of pairs that were not linked before."""
        ...

    async def mark_hubs(self, identities: Collection[Identity], limit: int) -> None:
        """Mark those with more than `limit` neighbours, at this instant, unless they are marked."""
        ...

    async def joined_pairs(self, identities: Collection[Identity]) -> list[Pair]:
        """Return the effective links among user ids and e-mails with an end in `identities`."""
        ...

    async def first_owners(self, anonymous: Collection[Identity]) -> dict[Identity, Identity]:
        """Return the first owner of each anonymous id that has one."""
        ...

    async def never_link(self, pairs: Collection[Pair], actor: str) -> None:
        """Store never-link edges; links of these pairs lose their effect."""
        ...

    async def allow_link(self, pairs: Collection[Pair]) -> None:
        """Remove never-link edges; links of these pairs take effect again as far as hub marks allow."""
        ...

    async def link_by_hand(self, pair: Pair, event_id: str) -> None:
        """Store one effective edge that no activity asserts."""
        ...

    async def anonymous_of(self, identities: Collection[Identity]) -> set[Identity]:
        """Return the anonymous ids that have a link to one of `identities`."""
        ...


class TimelineStore(Protocol):
    """The timeline, and its caches: counts and traits per owner."""

    async def known(self, event_ids: Collection[str]) -> dict[str, Known]: ...

    async def put(self, entries: Sequence[Entry], replaced: Collection[str]) -> dict[str, Identity]:
        """Insert rows, or replace those `replaced`; return each row's owner.

        Raises `ConcurrentChange` where another transaction has stored a row in the meantime.
        """
        ...

    async def reown(self, anonymous: Collection[Identity]) -> set[Identity]:
        """Give the activity of these anonymous ids to its owners; return owners who lost or gained some."""
        ...

    async def add_counts(self, entries: Sequence[Entry], owners: Mapping[str, Identity]) -> None: ...

    async def add_traits(self, entries: Sequence[Entry], owners: Mapping[str, Identity]) -> None: ...

    async def rebuild(self, owners: Collection[Identity]) -> None:
        """Count and resolve anew what these owners have in the timeline."""
        ...

    async def of_owners(self, owners: Collection[Identity]) -> list[tuple[Activity, tuple[str, ...]]]:
        """Return their activities with the signals stored for each."""
        ...

    async def set_signals(self, signals: Mapping[str, tuple[str, ...]]) -> None: ...

    async def owner_of(self, event_id: str) -> Identity | None: ...

    async def recent(self, lead_ids: Collection[str], limit: int) -> dict[str, list[RecentActivity]]: ...


class LeadStore(Protocol):
    """Leads, memberships, cuts, standings, snapshots and timers."""

    async def lock(self, identities: Collection[Identity], lead_ids: Collection[str] = ()) -> Locked:
        """Lock the leads of these identities, sorted, until nobody has moved in the meantime."""
        ...

    async def lock_idle(self, lead_ids: Collection[str]) -> list[str]:
        """Lock those of these leads that nobody else holds."""
        ...

    async def create(self, lead_ids: Sequence[str], now: datetime, model_version: int) -> None: ...

    async def move(self, lead_of: Mapping[Identity, str], leaves: Mapping[Identity, Identity]) -> None:
        """Set memberships; `leaves` are anonymous ids that their owner's lead absorbs, with their cuts."""
        ...

    async def redirect(self, merges: Sequence[Merge], now: datetime) -> None:
        """Write redirects, take the losers out of the tables; survivors list those that were published."""
        ...

    async def survivors(self, lead_ids: Collection[str]) -> dict[str, str]:
        """Follow redirects; a lead without one is its own survivor."""
        ...

    async def belonging(self, identities: Collection[Identity]) -> set[Identity]:
        """Return those that belong to a lead; locks nothing."""
        ...

    async def members(self, lead_id: str) -> frozenset[Identity]: ...

    async def set_model_version(self, lead_ids: Collection[str], version: int) -> None: ...

    async def set_cuts(self, cuts: Mapping[tuple[Identity, int], datetime | None]) -> None:
        """Keep the highest cycle and the latest cut of each identity."""
        ...

    async def tellable(self, lead_ids: Collection[str]) -> list[str]:
        """Return those that somebody could contact, or of whom routing has heard."""
        ...

    async def inputs(self, lead_ids: Collection[str]) -> list[Inputs]: ...

    async def stand(self, standings: Sequence[Standing], now: datetime) -> None: ...

    async def announce(self, announcements: Sequence[Announcement]) -> None:
        """Keep the snapshots and put them in the outbox."""
        ...

    async def announce_merges(
        self, merges: Sequence[tuple[Merge, int]], *, epoch: int, now: datetime
    ) -> None: ...

    async def announce_split(
        self, split: Split, *, revision: int, handoff_goes_to: str, epoch: int, now: datetime
    ) -> None: ...

    async def arm(self, due: Mapping[str, datetime | None]) -> None: ...


class ConcurrentChange(Exception):
    """Another transaction changed what this one had read: the whole unit of work is done again."""


@dataclass(frozen=True, slots=True)
class Stores:
    """The three stores of one transaction."""

    identities: IdentityStore
    timeline: TimelineStore
    leads: LeadStore
