"""At no instant two open hand-offs of one lead; what a rep was told has happened, once."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise

from shared.contracts import handoffs as told
from tests.faults.evidence import Evidence

FOREVER = datetime.max.replace(tzinfo=UTC)


def never_two_open(evidence: Evidence) -> Iterator[str]:
    """The intervals of a lead's hand-offs do not overlap, by the lead each was made for."""
    closed = {row["handoff_id"]: row["closed_at"] or FOREVER for row in evidence.tables["handoffs"]}
    spans = defaultdict(list)
    for event in evidence.feed:
        if event["type"] == told.ASSIGNED:
            data = event["data"]
            begin = datetime.fromisoformat(data["at"])
            spans[data["lead_id"]].append((begin, closed[data["handoff_id"]], data["handoff_id"]))
    for lead_id, found in spans.items():
        for (_, end, one), (begin, _, other) in pairwise(sorted(found)):
            if begin < end:
                yield f"lead {lead_id}: {other} was opened before {one} was closed"


def feed_tells_each_once(evidence: Evidence) -> Iterator[str]:
    """One `assigned` for each hand-off, one `closed` for each that is closed."""
    for kind, wanted in (
        (told.ASSIGNED, {row["handoff_id"] for row in evidence.tables["handoffs"]}),
        (told.CLOSED, {row["handoff_id"] for row in evidence.tables["handoffs"] if row["closed_at"]}),
    ):
        seen = [event["data"]["handoff_id"] for event in evidence.feed if event["type"] == kind]
        if sorted(seen) != sorted(wanted):
            wrong = {one for one in {*seen, *wanted} if seen.count(one) != (one in wanted)}
            yield f"{kind} is told wrongly of {sorted(wrong)[:5]}"


def clicks_count_once(evidence: Evidence) -> Iterator[str]:
    """An act that was answered 2xx is recorded, one that was refused is not; every answer is the same."""
    done = {f"{row['handoff_id']} {row['act'].replace('_', '-')}" for row in evidence.tables["acts"]}
    answers: defaultdict[str, set[str]] = defaultdict(set)
    refused: dict[str, str] = {}
    for entry in evidence.journal:
        if entry.op == "act" and entry.outcome == "ok":
            answers[entry.id].add(entry.told[1])
        if entry.op == "act" and entry.outcome == "fail":
            refused[entry.id] = str(entry.told)
    for act, bodies in answers.items():
        if act not in done:
            yield f"{act} was answered 2xx and is not recorded"
        if len(bodies) > 1:
            yield f"{act} was answered in {len(bodies)} ways: {sorted(bodies)}"
    for act, why in refused.items():
        if act in done:
            yield f"{act} was done and refused: {why}"


def reps_are_refused_for_cause(evidence: Evidence) -> Iterator[str]:
    """The only refusal is 409: too late, or not in this state."""
    for entry in evidence.journal:
        if entry.op == "act" and entry.outcome == "fail" and entry.told[0] != 409:
            yield f"{entry.id} was answered {entry.told}"


CHECKS = (never_two_open, feed_tells_each_once, clicks_count_once, reps_are_refused_for_cause)
