"""Whose an anonymous id's activity is, by time: intervals between its links, and what a new link changes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from services.scoring.domain.identity import HubMarks, Identity, Link, NeverLinks, Position


@dataclass(frozen=True, slots=True)
class Interval:
    """Activity at positions in [start, end) belongs to `owner`; None is open. Positions order by (time, event id)."""

    start: Position | None
    end: Position | None
    owner: Identity


def owner_intervals(
    anonymous: Identity, links: Iterable[Link], hubs: HubMarks, never_links: NeverLinks
) -> tuple[Interval, ...]:
    """Return who owns the anonymous id's activity, in order of time and without gaps.

    Before its first effective link: the first e-mail or user it is linked to; from then on the latest link at or
    before the event. Without an effective link: one open interval owned by the anonymous id itself.
    Where one event links it to a user id and an e-mail, the user id is taken.
    """
    raise AssertionError("body follows")


def owner_at(intervals: Sequence[Interval], position: Position) -> Identity:
    """Return the owner of an event of the anonymous id at that position."""
    raise AssertionError("body follows")


def reowned(before: Sequence[Interval], after: Sequence[Interval]) -> tuple[Interval, ...]:
    """Return the spans whose owner differs, with the owner that `after` gives: what a late link must recount."""
    raise AssertionError("body follows")
