"""One recorded activity as scoring sees it: whose it is, which links it makes, which of two bodies wins."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from services.scoring.domain.identity import Identity, Link, Position, pair


@dataclass(slots=True)
class Activity:
    """One activity. `email` is canonical; `path` is the URL's path; `bot`: made by a bot or mail scanner.

    Nobody changes it; but one is made of every message, and a frozen class takes four times as long for it.
    """

    event_id: str
    kind: str
    name: str
    occurred_at: datetime
    received_at: datetime
    body_hash: str
    source: str = ""
    anonymous_id: str | None = None
    user_id: str | None = None
    email: str | None = None
    previous_id: str | None = None
    path: str | None = None
    properties: Mapping[str, Any] = field(default_factory=dict)
    traits: Mapping[str, Any] = field(default_factory=dict)
    bot: bool = False

    @property
    def position(self) -> Position:
        """Return where the activity stands in time."""
        return Position(self.occurred_at, self.event_id)


def wins(one: Activity, other: Activity) -> Activity:
    """Return which of two bodies under one event id counts: the lower (occurred_at, body hash)."""
    return min(one, other, key=lambda activity: (activity.occurred_at, activity.body_hash))


def subject(activity: Activity) -> Identity:
    """Return the identity the activity hangs on: user id, else e-mail, else anonymous id.

    Only where it is an anonymous id does the owner depend on links (`ownership.owner_at`). Raises ValueError
    where the activity names nobody.
    """
    if activity.user_id:
        return Identity("user", activity.user_id)
    if activity.email:
        return Identity("email", activity.email)
    if activity.anonymous_id:
        return Identity("anonymous", activity.anonymous_id)
    raise ValueError("an activity needs an anonymous id, a user id or an e-mail")


def identities_of(activity: Activity) -> tuple[Identity, ...]:
    """Return every identity the activity names, sorted."""
    if _names_one(activity):
        return (subject(activity),)
    found = {end for edge in edges_of(activity) for end in edge}
    found.add(subject(activity))
    return tuple(sorted(found))


def _names_one(activity: Activity) -> bool:
    """Tell at once what most activity is: a visitor's, that links nobody."""
    if activity.previous_id:
        return False
    if not (activity.user_id or activity.email):
        return True
    return bool(activity.anonymous_id) + bool(activity.user_id) + bool(activity.email) == 1


def edges_of(activity: Activity) -> tuple[tuple[Identity, Identity], ...]:
    """Return the edges the activity asserts, sorted: every pair of anonymous id, user id and e-mail it names.

    An alias does not say whether its previous id was an anonymous or a user id; both edges are stored, since
    the one that names nobody changes nothing and the choice must not depend on what arrived before.
    """
    if _names_one(activity):
        return ()
    named = []
    if activity.anonymous_id:
        named.append(Identity("anonymous", activity.anonymous_id))
    if activity.user_id:
        named.append(Identity("user", activity.user_id))
    if activity.email:
        named.append(Identity("email", activity.email))
    edges = {pair(one, other) for one in named for other in named if one != other}
    person = Identity("user", activity.user_id) if activity.user_id else None
    if activity.previous_id and person:
        edges.add(pair(Identity("anonymous", activity.previous_id), person))
        if activity.previous_id != activity.user_id:
            edges.add(pair(Identity("user", activity.previous_id), person))
    return tuple(sorted(edges))


def links_of(activity: Activity, linked_at: datetime) -> tuple[Link, ...]:
    """Return the links to store for the activity; `linked_at` is the instant of storing."""
    return tuple(
        Link(a, b, activity.occurred_at, activity.event_id, linked_at) for a, b in edges_of(activity)
    )
