"""At rest: the feed dense and ordered, every snapshot arrived, nothing in limbo, reconcile clean."""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise

from tests.faults.evidence import Evidence

DEADLOCK_LINES = 9


def feed_is_dense(evidence: Evidence) -> Iterator[str]:
    """Sequences from 1 without a gap, ids without a repetition."""
    numbers = [event["sequence"] for event in evidence.feed]
    if numbers and numbers[0] != 1:
        yield f"the feed begins at {numbers[0]}"
    for before, after in pairwise(numbers):
        if after != before + 1:
            yield f"the feed goes from {before} to {after}"
    for event_id, count in Counter(event["id"] for event in evidence.feed).items():
        if count > 1:
            yield f"event {event_id} is {count} times in the feed"


def feed_is_ordered(evidence: Evidence) -> Iterator[str]:
    """The events of one lead come in the order in which they happened."""
    last: dict[str, datetime] = {}
    for event in evidence.feed:
        # Not as texts: a whole second is spelled without a fraction, and `Z` stands behind a point.
        at = datetime.fromisoformat(event["time"])
        if at < last.get(event["subject"], at):
            yield f"event {event['id']} of {event['subject']} comes after a later one"
        last[event["subject"]] = at


def followers_miss_nothing(evidence: Evidence) -> Iterator[str]:
    """Who went from cursor to cursor while everything broke has read the same as who reads it all now."""
    ids = [event["id"] for event in evidence.feed]
    if list(evidence.followed) != ids:
        missed, twice = (
            set(ids) - set(evidence.followed),
            len(evidence.followed) - len(set(evidence.followed)),
        )
        yield f"a follower missed {len(missed)} of {len(ids)} events and saw {twice} twice"


def snapshots_arrive(evidence: Evidence) -> Iterator[str]:
    """Routing keeps the latest snapshot that scoring has published of each lead."""
    for row in evidence.tables["snapshots"]:
        same = (row["epoch"], row["revision"]) == (row["routing_epoch"], row["routing_revision"])
        if not same and row["survivor_id"] is None:
            yield f"lead {row['lead_id']}: scoring told revision {row['revision']}, routing has " + str(
                row["routing_revision"]
            )


def nobody_is_in_limbo(evidence: Evidence) -> Iterator[str]:
    """A lead over the threshold in its present cycle is not left lying in nurturing."""
    for row in evidence.tables["leads"]:
        body = row["body"] or {}
        if row["state"] == "nurturing" and body.get("enters") and body.get("cycle", 0) == row["cycle"]:
            yield f"lead {row['lead_id']} is over the threshold and nobody's"


def reconcile_is_clean(evidence: Evidence) -> Iterator[str]:
    """The product's own reconciliation finds nothing wrong, and looked at something."""
    for finding in evidence.reconcile["findings"]:
        for problem in finding["problems"]:
            yield f"reconcile, {finding['check']}: {problem}"
    if not sum(finding["checked"] for finding in evidence.reconcile["findings"]):
        yield "the reconciliation had nothing to check"


def nobody_waits_in_a_ring(evidence: Evidence) -> Iterator[str]:
    """No deadlock: PostgreSQL resolves one only after a second, which is more than a timer has."""
    lines = list(evidence.server_log)
    for number, line in enumerate(lines):
        if "deadlock detected" in line:
            # Who waited for whom, in what statement: the lines that go with it.
            yield "\n".join(lines[number : number + DEADLOCK_LINES])


CHECKS = (
    feed_is_dense,
    feed_is_ordered,
    followers_miss_nothing,
    snapshots_arrive,
    nobody_is_in_limbo,
    reconcile_is_clean,
    nobody_waits_in_a_ring,
)
