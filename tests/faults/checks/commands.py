"""What was told the CRM, the steward and the reps about commands is so, once: neither lost nor done twice."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

from tests.faults.evidence import Evidence

PARKED, CONFLICT = 202, 409


def _answers(evidence: Evidence, op: str, outcome: str = "ok") -> Iterator[tuple[str, int, Any]]:
    """Give (id, status, body) of every answer to an operation."""
    for entry in evidence.journal:
        if entry.op == op and entry.outcome == outcome:
            yield entry.id, entry.told[0], json.loads(entry.told[1])


def feedback_is_never_refused(evidence: Evidence) -> Iterator[str]:
    """A CRM hears 2xx whatever it tells, and the same answer where it tries again."""
    told: dict[str, Any] = {}
    for entry in evidence.journal:
        if entry.op == "feedback" and entry.outcome == "fail":
            yield f"feedback {entry.id} was refused: {entry.told}"
    for telling, status, body in _answers(evidence, "feedback"):
        if told.setdefault(telling, (status, body)) != (status, body):
            yield f"feedback {telling} was answered in two ways"


def illegal_feedback_is_parked_once(evidence: Evidence) -> Iterator[str]:
    """202 means one parked row of that id, 200 none."""
    parked: defaultdict[str, list[str]] = defaultdict(list)
    for row in evidence.tables["parked"]:
        parked[row["body"]["note"]].append(row["parked_id"])
    for telling, status, body in _answers(evidence, "feedback"):
        if parked[telling] != ([body["parked_id"]] if status == PARKED else []):
            yield f"feedback {telling} was answered {status} and is parked {len(parked[telling])} times"


def feedback_counts_once(evidence: Evidence) -> Iterator[str]:
    """What was told to have changed the lead is recorded that often, under the name of what was told."""
    recorded: Counter[str] = Counter()
    for handoff in evidence.tables["handoffs"]:
        recorded.update(act["by"] for act in handoff["acts"] if _act_of(act["by"]) == act["name"])
    # Acts on leads that nobody holds leave no trace on a hand-off.
    moved = {row["actor"]["by"] for row in evidence.tables["transitions"] if row["handoff_id"] is None}
    recorded.update(moved - recorded.keys())
    changes = {telling: body["changed"] for telling, _, body in _answers(evidence, "feedback")}
    told: Counter[str] = Counter()
    for telling, changed in changes.items():
        told[telling.rpartition(".")[0]] += changed
    for fact, count in told.items():
        if recorded[fact] != count:
            yield f"feedback {fact} was told to have changed {count} times, recorded {recorded[fact]} times"


def _act_of(fact: str) -> str:
    """Return the act in the name of what a CRM tells (`crm-7.accept`)."""
    return fact.rpartition(".")[2]


def pauses_count_once(evidence: Evidence) -> Iterator[str]:
    """Each pause that was acknowledged is on a clock of its hand-off, and no other; refusals are 409."""
    taken: Counter[str] = Counter()
    for clock in evidence.tables["clocks"]:
        taken[clock["handoff_id"]] += len(clock["body"]["pauses"])
    told = Counter(dict.fromkeys(taken, 0))
    told.update(name.partition(" ")[0] for name in {name for name, _, _ in _answers(evidence, "pause")})
    for handoff, count in told.items():
        if taken[handoff] != count:
            yield f"hand-off {handoff}: {count} pauses were acknowledged, {taken[handoff]} are recorded"
    for op in ("pause", "resume"):
        for name, status, body in _answers(evidence, op, "fail"):
            if status != CONFLICT:
                yield f"{op} {name} was refused: {status} {body}"


def merges_count_once(evidence: Evidence) -> Iterator[str]:
    """An acknowledged merge is one link by hand, and has redirected one of the two ids for good."""
    gone = {row["lead_id"] for row in evidence.tables["scoring_redirects"]}
    told = {name: body for name, _, body in _answers(evidence, "merge")}
    for name in told:
        _, one, other = name.split()
        if not gone & {one, other}:
            yield f"{name} was acknowledged and both ids are leads still"
    if len(told) != len(evidence.tables["hand_links"]):
        yield f"{len(told)} merges were acknowledged, {len(evidence.tables['hand_links'])} are recorded"


def unmerges_count_once(evidence: Evidence) -> Iterator[str]:
    """An acknowledged unmerge has minted one lead of its own, which routing knows of; nothing else splits.

    What hung together by the identity that has left falls apart in the same instant, of which scoring tells.
    Routing may hear of the parts one after the other; of one that was merged on at once, of the merge alone.
    """
    answers = {name: body for name, _, body in _answers(evidence, "unmerge")}
    told = [body["new_lead_id"] for body in answers.values()]
    split = {row["lead_id"] for row in evidence.tables["splits"]}
    why = {
        row["told"]["new_lead_id"]: (row["told"]["lead_id"], row["told"]["unmerged_at"])
        for row in evidence.tables["unmerged"]
    }
    caused = {why.get(lead_id) for lead_id in told}
    if len(set(told)) != len(told):
        yield "two unmerges have minted one lead"
    merged = {row["lead_id"] for row in evidence.tables["redirects"]}
    for lead_id in told:
        if lead_id not in split | merged:
            yield f"routing does not know of the unmerge that has minted lead {lead_id}"
    for lead_id in split:
        if why.get(lead_id, lead_id) not in caused:
            yield f"lead {lead_id} was split off by nobody"


def stewards_are_refused_for_cause(evidence: Evidence) -> Iterator[str]:
    """The only refusal is 409: they are one lead already, or cannot be parted."""
    for op in ("merge", "unmerge"):
        for name, status, body in _answers(evidence, op, "fail"):
            if status != CONFLICT:
                yield f"{name} was refused: {status} {body}"


CHECKS = (
    feedback_is_never_refused,
    illegal_feedback_is_parked_once,
    feedback_counts_once,
    pauses_count_once,
    merges_count_once,
    unmerges_count_once,
    stewards_are_refused_for_cause,
)
