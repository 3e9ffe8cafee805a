"""At no instant two open hand-offs of one lead; what a rep was told has happened, once."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import pairwise

from shared.contracts import handoffs as told
from tests.faults.evidence import Evidence, Row

FOREVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Span:
    """A hand-off lay open on one lead during [begin, end)."""

    lead_id: str
    begin: datetime
    end: datetime
    handoff_id: str


def never_two_open(evidence: Evidence) -> Iterator[str]:
    """The intervals of a lead's hand-offs do not overlap, through all merges and splits."""
    rows = {row["handoff_id"]: row for row in evidence.tables["handoffs"]}
    passes = _passes(evidence)
    spans: defaultdict[str, list[Span]] = defaultdict(list)
    for event in evidence.feed:
        if event["type"] == told.ASSIGNED:
            data = event["data"]
            row = rows[data["handoff_id"]]
            first = Span(
                data["lead_id"],
                datetime.fromisoformat(data["at"]),
                row["closed_at"] or FOREVER,
                row["handoff_id"],
            )
            found = next(_ways(first, row["lead_id"], passes), None)
            if found is None:
                yield f"hand-off {first.handoff_id} went from {first.lead_id} to {row['lead_id']} by no merge"
            for span in found or ():
                spans[span.lead_id].append(span)
    for lead_id, of_lead in spans.items():
        for one, other in pairwise(sorted(of_lead, key=lambda span: (span.begin, span.end))):
            if other.begin < one.end:
                yield f"lead {lead_id}: {other.handoff_id} was open before {one.handoff_id} was closed"


# (lead, where its hand-off may go, at, whether it must)
Pass = tuple[str, str, datetime, bool]


def _passes(evidence: Evidence) -> list[Pass]:
    """Return every merge, which takes what is open along, and every split, which may, in order of time."""
    merged = [(row["lead_id"], row["survivor_id"], row["at"], True) for row in evidence.tables["redirects"]]
    split = [(row["from_id"], row["lead_id"], row["at"], False) for row in evidence.tables["splits"]]
    return sorted(merged + split, key=lambda one: one[2])


def _ways(span: Span, last: str, passes: Sequence[Pass]) -> Iterator[list[Span]]:
    """Give the ways in which a hand-off opened on `span.lead_id` may have come to lie on `last`."""
    merged_at = FOREVER
    for number, (lead_id, to, at, must) in enumerate(passes):
        # One that a merge closes keeps the loser's name. A split of the same batch may have come before it.
        if at > merged_at:
            return
        if lead_id != span.lead_id or at > span.end or (at < span.begin and not must):
            continue
        # A split may name a lead that was merged on before: then both happen at once.
        begin = max(at, span.begin)
        later = [*(one for one in passes[:number] if one[3]), *passes[number + 1 :]]
        for rest in _ways(replace(span, lead_id=to, begin=begin), last, later):
            yield [replace(span, end=begin), *rest]
        if must and begin < span.end:
            merged_at = begin
    if merged_at == FOREVER and span.lead_id == last:
        yield [span]


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
    """An act that was answered 2xx is recorded, one that was refused is not; every answer is the same.

    Whoever clicks again once something else has closed the hand-off hears where it went, and contact that
    somebody else has told of before is no news (decision 63).
    """
    done = {f"{row['handoff_id']} {row['act'].replace('_', '-')}" for row in evidence.tables["acts"]}
    rows = {row["handoff_id"]: row for row in evidence.tables["handoffs"]}
    answers: defaultdict[str, set[str]] = defaultdict(set)
    for entry in evidence.journal:
        if entry.op == "act" and entry.outcome == "ok":
            answers[entry.id].add(entry.told[1])
        elif entry.op == "act" and entry.outcome == "fail" and entry.id in done:
            handoff_id, act = entry.id.split()
            if not _closed_by_another(rows[handoff_id], act, datetime.fromtimestamp(entry.at, UTC)):
                yield f"{entry.id} was done and refused: {entry.told}"
    for act, bodies in answers.items():
        handoff_id, name = act.split()
        if act not in done:
            if name != "contact" or all(one["name"] != name for one in rows[handoff_id]["acts"]):
                yield f"{act} was answered 2xx and is not recorded"
        elif len(bodies) > 1:
            yield f"{act} was answered in {len(bodies)} ways: {sorted(bodies)}"


CLOSES = {"reject": "rejected", "hand-back": "handed_back", "win": "won", "lose": "lost"}


def _closed_by_another(handoff: Row, act: str, before: datetime) -> bool:
    closed_at = handoff["closed_at"]
    return closed_at is not None and closed_at <= before and handoff["outcome"] != CLOSES.get(act)


def reps_are_refused_for_cause(evidence: Evidence) -> Iterator[str]:
    """The only refusal is 409: too late, or not in this state."""
    for entry in evidence.journal:
        if entry.op == "act" and entry.outcome == "fail" and entry.told[0] != 409:
            yield f"{entry.id} was answered {entry.told}"


CHECKS = (never_two_open, feed_tells_each_once, clicks_count_once, reps_are_refused_for_cause)
