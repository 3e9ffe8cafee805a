"""Who is who: identities, the links between them, and leads as connected components of user ids and e-mails.

An anonymous id is a leaf: it never joins two people; `ownership.py` says whose its activity is, by time.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple

IdentityKind = Literal["anonymous", "user", "email"]

# Local parts that name a function of a company, not a person. Compared after cutting "+tag".
ROLE_LOCAL_PARTS = frozenset(
    {
        "abuse", "accounting", "accounts", "admin", "administrator", "ap", "ar", "billing", "booking",
        "bookings", "buchhaltung", "bureau", "careers", "compras", "comptabilite", "contabilidad",
        "contact", "contacto", "contatti", "customerservice", "einkauf", "enquiries", "enquiry",
        "feedback", "finance", "hello", "help", "helpdesk", "hostmaster", "hr", "info", "infos",
        "inquiries", "invoice", "invoices", "it", "jobs", "kontakt", "legal", "mail", "mailbox",
        "marketing", "media", "newsletter", "no-reply", "noc", "noreply", "office", "order", "orders",
        "post", "postmaster", "press", "presse", "privacy", "purchasing", "recepcion", "reception",
        "recruiting", "reservations", "root", "sales", "secretary", "security", "sekretariat", "service",
        "services", "shop", "spam", "staff", "support", "sysadmin", "team", "usenet", "vendas", "ventas",
        "verkauf", "vertrieb", "web", "webmaster", "zentrale",
    }
)  # fmt: skip


class Identity(NamedTuple):
    """An anonymous id, a user id, or a canonical e-mail. Ordered by (kind, value): the order of locks."""

    kind: IdentityKind
    value: str


class Position(NamedTuple):
    """Where an event stands in time; ties between equal instants go by event id (lower-case UUID text)."""

    occurred_at: datetime
    event_id: str


@dataclass(frozen=True, slots=True)
class Link:
    """A stored edge (`a` < `b`) with its source event; `linked_at`: when it was stored, for hub marks."""

    a: Identity
    b: Identity
    occurred_at: datetime
    event_id: str
    linked_at: datetime

    @property
    def position(self) -> Position:
        """Return where the source event stands in time."""
        return Position(self.occurred_at, self.event_id)


@dataclass(frozen=True, slots=True)
class LeadSeed:
    """What decides which lead id survives a merge."""

    lead_id: str
    created_at: datetime


HubMarks = Mapping[Identity, datetime]  # identity -> instant of its mark
Pair = tuple[Identity, Identity]  # sorted
NeverLinks = Collection[Pair]
Partition = frozenset[frozenset[Identity]]


def pair(one: Identity, other: Identity) -> Pair:
    """Return the two identities as an undirected edge."""
    return (one, other) if one <= other else (other, one)


def is_role_address(identity: Identity) -> bool:
    """Tell whether an e-mail names a function (`info@`), so that it never joins anybody."""
    if identity.kind != "email":
        return False
    local = identity.value.partition("@")[0].partition("+")[0].casefold()
    return local in ROLE_LOCAL_PARTS


def takes_effect(link: Link, hubs: HubMarks, never_links: NeverLinks) -> bool:
    """Tell whether a link joins: not never-linked, no role address, no end a hub when it was stored."""
    if pair(link.a, link.b) in never_links or is_role_address(link.a) or is_role_address(link.b):
        return False
    return all(end not in hubs or link.linked_at <= hubs[end] for end in (link.a, link.b))


def is_leaf_link(link: Link) -> bool:
    """Tell whether the link gives an anonymous id an owner (and so joins no two people)."""
    return "anonymous" in (link.a.kind, link.b.kind)


def components(
    identities: Iterable[Identity], links: Iterable[Link], hubs: HubMarks, never_links: NeverLinks
) -> Partition:
    """Return the leads as sets of identities.

    Members are user ids and e-mails joined by effective links. An anonymous id belongs to the set of its
    first owner (the first effective link by (occurred_at, event id)), or is a set of its own while it has
    none.
    """
    stored = list(links)
    known = {*identities, *(end for link in stored for end in (link.a, link.b))}
    edges = [link for link in stored if takes_effect(link, hubs, never_links)]
    root = {identity: identity for identity in known}
    for link in edges:
        if not is_leaf_link(link):
            root[_find(root, link.a)] = _find(root, link.b)
    for anonymous, owner in first_owners(edges).items():
        root[anonymous] = _find(root, owner)
    members: defaultdict[Identity, set[Identity]] = defaultdict(set)
    for identity in known:
        members[_find(root, identity)].add(identity)
    return frozenset(map(frozenset, members.values()))


def first_owners(effective: Iterable[Link]) -> dict[Identity, Identity]:
    """Return the first owner of each anonymous id among effective links."""
    first: dict[Identity, tuple[Position, OwnerRank, Identity]] = {}
    for link in filter(is_leaf_link, effective):
        anonymous, owner = leaf_and_owner(link)
        claim = (link.position, owner_rank(owner), owner)
        first[anonymous] = min(first.get(anonymous, claim), claim)
    return {anonymous: claim[2] for anonymous, claim in first.items()}


def leaf_and_owner(link: Link) -> tuple[Identity, Identity]:
    """Return the anonymous end of a leaf link and the other."""
    return (link.a, link.b) if link.a.kind == "anonymous" else (link.b, link.a)


OwnerRank = tuple[int, str]


def owner_rank(owner: Identity) -> OwnerRank:
    """Return which of two owners named by one event is taken: the lowest; user ids come before e-mails."""
    return (0 if owner.kind == "user" else 1, owner.value)


def _find(root: dict[Identity, Identity], identity: Identity) -> Identity:
    while root[identity] != identity:
        root[identity] = root[root[identity]]
        identity = root[identity]
    return identity


def survivor(leads: Iterable[LeadSeed]) -> LeadSeed:
    """Return the lead whose id survives a merge: the oldest, then the lowest id."""
    return min(leads, key=lambda lead: (lead.created_at, lead.lead_id))


def crossing_pairs(part: Collection[Identity], rest: Collection[Identity]) -> frozenset[Pair]:
    """Return the never-link edges that an unmerge of `part` from `rest` writes: every pair across."""
    return frozenset(pair(one, other) for one in part for other in rest)


def is_hub(neighbours: int, limit: int) -> bool:
    """Tell whether an identity with that many distinct neighbours is to be marked as a hub."""
    return neighbours > limit
