"""Scores at one instant equal a slow recomputation from the log, and those of a run without faults.

Both begin with what ingest published; the machine is asked over HTTP.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import httpx2

from services.scoring.adapters.bots import bot_verdict
from services.scoring.adapters.features import derive_features
from services.scoring.domain.activity import Activity, identities_of
from services.scoring.domain.identity import Identity, Link
from services.scoring.domain.score import Score
from services.scoring.usecases.read_activity import read_activity
from tests.faults.machine import Machine
from tests.faults.recorded import Recorded, read_recorded
from tests.faults.undisturbed import score_undisturbed
from tests.support.scoring_oracle import Members, OracleLead, Timeline, recompute

Scored = OracleLead | Score
LINE = ("dimension", "rule", "kind", "points")
COMPARED = ("fit", "engagement", "grade", "enters", "holds", "hand_raise", "needs_data")


def expected(recorded: Recorded, as_of: datetime) -> Iterator[OracleLead]:
    """Recompute every lead; people who share no identity one after the other, since the oracle is slow."""
    read = (read_activity(message, recorded.compiled, bot_verdict) for message in recorded.messages)
    for activities, links in people([entry.activity for entry in read], recorded.links):
        timeline = Timeline(
            activities=activities,
            model=recorded.compiled.model,
            featurer=derive_features,
            by_hand=links,
            never_links=recorded.never_links,
            cuts=recorded.cuts,
        )
        yield from recompute(timeline, as_of).values()


Group = tuple[list[Activity], list[Link]]


def people(activities: Sequence[Activity], by_hand: Sequence[Link]) -> list[Group]:
    """Return activities and links by hand in groups that share no identity."""
    parent: dict[Identity, Identity] = {}

    def root(identity: Identity) -> Identity:
        while (above := parent.setdefault(identity, identity)) != identity:
            identity = above
        return identity

    def join(first: Identity, *others: Identity) -> None:
        for other in others:
            parent[root(other)] = root(first)

    for activity in activities:
        join(*identities_of(activity))
    for link in by_hand:
        join(link.a, link.b)
    groups: defaultdict[Identity, Group] = defaultdict(lambda: ([], []))
    for activity in activities:
        groups[root(identities_of(activity)[0])][0].append(activity)
    for link in by_hand:
        groups[root(link.a)][1].append(link)
    return list(groups.values())


class Told:
    """What the machine says at one instant: whose each identity is, and the score of each lead."""

    def __init__(self, leads: Mapping[Identity, str], scores: Mapping[str, Mapping[str, Any]]) -> None:
        self._leads = leads
        self._scores = scores
        self._members: defaultdict[str, set[Identity]] = defaultdict(set)
        for identity, lead_id in leads.items():
            self._members[lead_id].add(identity)

    def score_of(self, members: Members) -> tuple[str, Mapping[str, Any] | None]:
        """Return the lead of these identities and its score, or what is wrong with them and None."""
        ids = {self._leads.get(identity) for identity in members}
        if len(ids) != 1 or None in ids:
            return f"one lead of {len(members)} identities is {len(ids)} leads: {sorted(map(str, ids))}", None
        lead_id = str(ids.pop())
        if self._members[lead_id] != members:
            return f"lead {lead_id} has {len(self._members[lead_id])} identities, not {len(members)}", None
        return f"lead {lead_id}", self._scores[lead_id]


def ask(machine: Machine, client: httpx2.Client, leads: Mapping[Identity, str], as_of: datetime) -> Told:
    """Ask the machine for the score of every lead."""

    def score(lead_id: str) -> Mapping[str, Any]:
        path = f"/v1/leads/{lead_id}/score"
        answer = client.get(machine.base(path) + path, params={"as_of": as_of.isoformat()})
        assert answer.is_success, f"{path}: {answer.status_code} {answer.text[:200]}"
        found: Mapping[str, Any] = answer.json()
        return found

    ids = sorted(set(leads.values()))
    with ThreadPoolExecutor(4) as askers:
        return Told(leads, dict(zip(ids, askers.map(score, ids), strict=True)))


def compare_scores(machine: Machine, client: httpx2.Client, seed: int) -> tuple[int, dict[str, list[str]]]:
    """Return how many leads were compared, and what differs from each of the two others."""
    as_of = datetime.now(UTC)
    recorded = asyncio.run(read_recorded(machine.database_url, machine.brokers.variables))
    told = ask(machine, client, recorded.leads, as_of)
    recomputed = list(expected(recorded, as_of))
    undisturbed = asyncio.run(score_undisturbed(machine.database_url, recorded, as_of, seed))
    found = {
        "scores equal a recomputation": list(unlike(told, {lead.core: lead for lead in recomputed})),
        "scores equal a run without faults": list(unlike(told, undisturbed, lines=True)),
    }
    if len(recomputed) != len(undisturbed):
        found["scores equal a run without faults"].append(
            f"{len(recomputed)} leads recomputed, {len(undisturbed)} without faults"
        )
    return len(recomputed), {check: differs for check, differs in found.items() if differs}


def unlike(told: Told, leads: Mapping[Members, Scored], *, lines: bool = False) -> Iterator[str]:
    """Say which leads the machine has otherwise, and where their scores (with `lines` those too) differ."""
    for members, lead in leads.items():
        name, score = told.score_of(members)
        if score is None:
            yield name
            continue
        for difference in differences(score, lead):
            yield f"{name}: {difference}"
        if lines:
            mine = sorted(tuple(line[part] for part in LINE) for line in score["lines"])
            if mine != sorted(tuple(getattr(line, part) for part in LINE) for line in lead.lines):
                yield f"{name} has other lines"


def differences(score: Mapping[str, Any], lead: Scored) -> Iterator[str]:
    """Say where a score over HTTP is not another, and where its lines do not add up."""
    for name in COMPARED:
        if score[name] != getattr(lead, name):
            yield f"{name} is {score[name]}, recomputed {getattr(lead, name)}"
    total = sum(line["points"] for line in score["lines"])
    if total != lead.fit + lead.engagement:
        yield f"the lines add up to {total}, recomputed {lead.fit + lead.engagement}"
