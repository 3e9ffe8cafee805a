"""Scores equal a slow recomputation from the log at one instant: faults have changed nothing.

The oracle reads what ingest published, people apart; the machine is asked over HTTP.
"""

import asyncio
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx2
import msgspec

from services.scoring.adapters.bots import bot_verdict
from services.scoring.adapters.features import derive_features
from services.scoring.adapters.keys import identity_of
from services.scoring.domain.activity import Activity, identities_of
from services.scoring.domain.compile import CompiledModel, compile_model
from services.scoring.domain.identity import Identity, Link
from services.scoring.usecases.publish_model import read_model
from services.scoring.usecases.read_activity import read_activity
from shared.bus.postgres import PostgresBus
from shared.contracts.activity import ActivityRecorded
from shared.contracts.topics import ACTIVITY
from shared.db.pool import create_pool
from tests.faults.machine import Machine
from tests.support.scoring_oracle import OracleLead, Timeline, by_identity, recompute

COMPARED = ("fit", "engagement", "grade", "enters", "holds", "hand_raise", "needs_data")
PAGE = 2000
# Merges by hand are links that no activity asserts.
BY_HAND = """
SELECT a, b, event_id::text, occurred_at, linked_at FROM scoring.link l
WHERE NOT EXISTS (SELECT FROM scoring.timeline t WHERE t.event_id = l.event_id)
"""
_DECODER = msgspec.json.Decoder(ActivityRecorded)


@dataclass(frozen=True, slots=True)
class Recorded:
    """What the oracle starts from, and which lead each identity belongs to in the machine."""

    compiled: CompiledModel
    messages: list[ActivityRecorded]
    cuts: Mapping[Identity, Collection[tuple[int, datetime | None]]]
    links: Sequence[Link]
    never_links: Collection[tuple[Identity, Identity]]
    leads: Mapping[Identity, str]


async def read_recorded(url: str) -> Recorded:
    """Read log, model, cuts and memberships."""
    pool = await create_pool(url, service="scoring", min_size=1, max_size=2)
    try:
        messages = await _messages(PostgresBus(pool))
        document = await pool.fetchval("SELECT document FROM scoring.model ORDER BY version DESC LIMIT 1")
        cuts = await pool.fetch("SELECT identity, cycle, cut FROM scoring.cut")
        by_hand = await pool.fetch(BY_HAND)
        never = await pool.fetch("SELECT a, b FROM scoring.never_link")
        members = await pool.fetch("SELECT identity, lead_id FROM scoring.membership")
    finally:
        await pool.close()
    return Recorded(
        compile_model(read_model(document, file="published model")),
        messages,
        by_identity((identity_of(row["identity"]), row["cycle"], row["cut"]) for row in cuts),
        [Link(identity_of(row["a"]), identity_of(row["b"]), *row[2:]) for row in by_hand],
        [(identity_of(row["a"]), identity_of(row["b"])) for row in never],
        {identity_of(row["identity"]): row["lead_id"] for row in members},
    )


async def _messages(bus: PostgresBus) -> list[ActivityRecorded]:
    found: list[ActivityRecorded] = []
    for place, (first, end) in (await bus.heads(ACTIVITY.name)).items():
        at = first
        while at < end and (records := await bus.browse(place, at, max_records=PAGE)):
            at = records[-1].offset + 1
            found += [_DECODER.decode(record.value) for record in records]
    return found


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


def scores_equal_a_recomputation(machine: Machine, client: httpx2.Client) -> tuple[int, list[str]]:
    """Return how many leads were compared, and what differs."""
    as_of = datetime.now(UTC)
    recorded = asyncio.run(read_recorded(machine.database_url))
    leads = list(expected(recorded, as_of))

    def compare(lead: OracleLead) -> list[str]:
        ids = {recorded.leads.get(identity) for identity in lead.core}
        if len(ids) != 1 or None in ids:
            return [f"one lead of {len(lead.core)} identities is {len(ids)} leads: {sorted(map(str, ids))}"]
        lead_id = ids.pop()
        path = f"/v1/leads/{lead_id}/score"
        answer = client.get(machine.base(path) + path, params={"as_of": as_of.isoformat()})
        if not answer.is_success:
            return [f"lead {lead_id}: {answer.status_code}"]
        return [f"lead {lead_id}: {difference}" for difference in differences(answer.json(), lead)]

    with ThreadPoolExecutor(4) as askers:
        found = [difference for one in askers.map(compare, leads) for difference in one]
    return len(leads), found


def differences(score: Mapping[str, Any], lead: OracleLead) -> Iterator[str]:
    """Say where a score over HTTP is not that of the oracle, and where its lines do not add up."""
    for name in COMPARED:
        if score[name] != getattr(lead, name):
            yield f"{name} is {score[name]}, recomputed {getattr(lead, name)}"
    total = sum(line["points"] for line in score["lines"])
    if total != lead.fit + lead.engagement:
        yield f"the lines add up to {total}, recomputed {lead.fit + lead.engagement}"
