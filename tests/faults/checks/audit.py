"""What was recorded on the way adds up to what is there: moves to states, turns to a team's accounts."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.routing.adapters.decision_rows import unpacked
from services.routing.domain.lifecycle_table import TABLE
from services.routing.domain.rotation import Rotation, take_turn
from shared.contracts import handoffs as told
from tests.faults.evidence import Evidence, Row

# A merge takes over a state as it is, and an unmerge leaves one behind: no steps of the table.
BESIDE_THE_TABLE = ("merged", "unmerged")
HAD_A_TURN = ("", "not_their_turn")


def moves_lead_to_states(evidence: Evidence) -> Iterator[str]:
    """The recorded moves of a lead join up, each is one that the table allows, the last led to its state."""
    # A lead that was split off begins with what the other one had.
    at: dict[str, str | None] = {row["lead_id"]: None for row in evidence.tables["splits"]}
    for move in evidence.tables["moves"]:
        lead_id, begins, ends = move["lead_id"], move["from_state"], move["to_state"]
        if at.get(lead_id, "nurturing") not in (begins, None):
            yield f"lead {lead_id} was {at.get(lead_id, 'nurturing')} and moved from {begins} to {ends}"
        if move["reason"] not in BESIDE_THE_TABLE and ends not in TABLE[begins].moves:
            yield f"lead {lead_id} moved from {begins} to {ends} ({move['reason']})"
        at[lead_id] = ends
    for lead in evidence.tables["leads"]:
        if at.get(lead["lead_id"], "nurturing") not in (lead["state"], None):
            yield f"lead {lead['lead_id']} is {lead['state']}, by its moves {at.get(lead['lead_id'])}"


def moves_are_told(evidence: Evidence) -> Iterator[str]:
    """The feed tells every recorded move of a lead, in order, and no other."""
    recorded: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
    for move in evidence.tables["moves"]:
        recorded[move["lead_id"]].append((move["from_state"], move["to_state"]))
    heard: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
    for event in evidence.feed:
        if event["type"] == told.LIFECYCLE_CHANGED:
            data = event["data"]
            heard[data["lead_id"]].append((data["from_state"], data["to_state"]))
    for lead_id in sorted(recorded.keys() | heard.keys()):
        if recorded[lead_id] != heard[lead_id]:
            yield f"lead {lead_id} has {len(recorded[lead_id])} moves, the feed tells {heard[lead_id]}"


def turns_are_fair(evidence: Evidence) -> Iterator[str]:
    """Turn after turn from a fresh account, each decision comes out again, and at last the team's account."""
    turns: defaultdict[str, list[Turn]] = defaultdict(list)
    for row in evidence.tables["decisions"]:
        if turn := _turn_of(row):
            turns[turn.team_id].append(turn)
    kept = {row["team_id"]: row["rotation"] for row in evidence.tables["teams"]}
    for team_id in sorted(turns.keys() | {team for team, account in kept.items() if account}):
        rotation = Rotation()
        for number, turn in enumerate(sorted(turns[team_id], key=lambda one: one.had)):
            again = take_turn(rotation, turn.weights)
            if turn.had != number or again.person_id != turn.chosen:
                yield f"decision {turn.decision_id} of {team_id} does not come out again"
                break
            rotation = again.rotation
        account = kept.get(team_id, {})
        if (rotation.shares, rotation.assigned) != (account.get("shares"), account.get("assigned")):
            yield f"the turns of {team_id} add up to {rotation.assigned}, its account is {account}"


@dataclass(frozen=True, slots=True)
class Turn:
    """A decision by a team's turn: how many leads the team `had` before, the weights of those eligible."""

    team_id: str
    decision_id: str
    had: int
    weights: Mapping[str, int]
    chosen: str


def _turn_of(row: Row) -> Turn | None:
    """Return what a decision's record says of the turn; None where none was taken."""
    body: dict[str, Any] = unpacked(row["body"])
    if not body["method"]:
        return None
    candidates = [one for one in body["candidates"] if one["team_id"] == body["team_id"]]
    return Turn(
        team_id=body["team_id"],
        decision_id=row["decision_id"],
        had=sum(one["assigned"] for one in candidates),
        weights={one["person_id"]: one["weight"] for one in candidates if one["lost_because"] in HAD_A_TURN},
        chosen=next(one["person_id"] for one in candidates if not one["lost_because"]),
    )


def nobody_acts_after_a_merge(evidence: Evidence) -> Iterator[str]:
    """Redirects lead to an end, and nothing is handed over under an id that was redirected before."""
    for name in ("redirects", "scoring_redirects"):
        onward = {row["lead_id"]: row["survivor_id"] for row in evidence.tables[name]}
        for lead_id in onward:
            seen = {lead_id}
            to = lead_id
            while (to := onward.get(to, "")) and to not in seen:
                seen.add(to)
            if to:
                yield f"lead {lead_id} is redirected in a ring ({name})"
    gone = {row["lead_id"]: row["at"] for row in evidence.tables["redirects"]}
    for event in evidence.feed:
        lead_id = event["data"].get("lead_id")
        if event["type"] != told.ASSIGNED or lead_id not in gone:
            continue
        if datetime.fromisoformat(event["data"]["at"]) > gone[lead_id]:
            yield f"{event['data']['handoff_id']} was handed over under {lead_id}, redirected before"


def cycles_grow_by_one(evidence: Evidence) -> Iterator[str]:
    """A lead's cycles follow each other without a gap; a merge or split may bring a later one along."""
    apart = {row["survivor_id"] for row in evidence.tables["redirects"]}
    apart |= {row[name] for row in evidence.tables["splits"] for name in ("lead_id", "from_id")}
    latest: dict[str, int] = {}
    for event in evidence.feed:
        if event["type"] != told.CYCLE_OPENED:
            continue
        lead_id, cycle = event["data"]["lead_id"], event["data"]["cycle"]
        before = latest.get(lead_id, 1)
        if cycle < before or (cycle != before + 1 and lead_id not in apart):
            yield f"lead {lead_id} went from cycle {before} to {cycle}"
        latest[lead_id] = cycle
    for lead in evidence.tables["leads"]:
        lead_id, cycle = lead["lead_id"], latest.get(lead["lead_id"], 1)
        if lead_id not in apart and lead["cycle"] != cycle:
            yield f"lead {lead_id} is in cycle {lead['cycle']}, told was {cycle}"


CHECKS = (
    moves_lead_to_states,
    moves_are_told,
    turns_are_fair,
    nobody_acts_after_a_merge,
    cycles_grow_by_one,
)
