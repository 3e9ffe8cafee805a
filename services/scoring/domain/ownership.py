"""Whose an anonymous id's activity is, by time: intervals between its links, and what a new link changes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from services.scoring.domain.identity import (
    HubMarks,
    Identity,
    Link,
    NeverLinks,
    Position,
    leaf_and_owner,
    owner_rank,
    takes_effect,
)


@dataclass(frozen=True, slots=True)
class Interval:
    """Activity at positions in [start, end) belongs to `owner`; None is open."""

    start: Position | None
    end: Position | None
    owner: Identity


def owner_intervals(
    anonymous: Identity, links: Iterable[Link], hubs: HubMarks, never_links: NeverLinks
) -> tuple[Interval, ...]:
    """Return who owns the anonymous id's activity, in order of time and without gaps.

    Before its first effective link: the first e-mail or user it is linked to; from then on the latest link at
    or before the event. Without an effective link: one open interval owned by the anonymous id itself.
    Where one event links it to a user id and an e-mail, the user id is taken.
    """
    owners: dict[Position, Identity] = {}
    for link in links:
        if anonymous not in (link.a, link.b) or not takes_effect(link, hubs, never_links):
            continue
        _, owner = leaf_and_owner(link)
        owners[link.position] = min(owners.get(link.position, owner), owner, key=owner_rank)
    if not owners:
        return (Interval(None, None, anonymous),)
    intervals: list[Interval] = []
    for position in sorted(owners):
        if not intervals:
            intervals.append(Interval(None, None, owners[position]))
        elif intervals[-1].owner != owners[position]:
            intervals[-1] = replace(intervals[-1], end=position)
            intervals.append(Interval(position, None, owners[position]))
    return tuple(intervals)


def owner_at(intervals: Sequence[Interval], position: Position) -> Identity:
    """Return the owner of an event of the anonymous id at that position."""
    for interval in reversed(intervals):
        if interval.start is None or interval.start <= position:
            return interval.owner
    raise ValueError("the intervals do not cover all time")


def reowned(before: Sequence[Interval], after: Sequence[Interval]) -> tuple[Interval, ...]:
    """Return the spans whose owner differs, with the owner that `after` gives: what a late link recounts."""
    starts = {interval.start for interval in (*before, *after) if interval.start is not None}
    edges: list[Position | None] = [None, *sorted(starts), None]
    spans: list[Interval] = []
    for start, end in pairwise(edges):
        old, new = _owner_from(before, start), _owner_from(after, start)
        if old == new:
            continue
        if spans and spans[-1].end == start and spans[-1].owner == new:
            spans[-1] = replace(spans[-1], end=end)
        else:
            spans.append(Interval(start, end, new))
    return tuple(spans)


def _owner_from(intervals: Sequence[Interval], start: Position | None) -> Identity:
    return intervals[0].owner if start is None else owner_at(intervals, start)
