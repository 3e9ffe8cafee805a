"""What scores are made of, read from the machine: the log, model, cuts, links by hand, never-link edges."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

from services.scoring.adapters.keys import identity_of
from services.scoring.domain.compile import CompiledModel, compile_model
from services.scoring.domain.identity import Identity, Link
from services.scoring.usecases.publish_model import read_model
from shared.bus.port import Bus
from shared.contracts.activity import ActivityRecorded
from shared.contracts.topics import ACTIVITY
from shared.db.pool import create_pool
from tests.faults.log import open_log
from tests.support.scoring_oracle import by_identity

PAGE = 2000
# Merges by hand are links that no activity asserts.
BY_HAND = """
SELECT a, b, occurred_at, event_id::text, linked_at FROM scoring.link l
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


async def read_recorded(url: str, variables: Mapping[str, str]) -> Recorded:
    """Read log, model, cuts and memberships; `variables` say where the log is, if not in the database."""
    pool = await create_pool(url, service="scoring", min_size=1, max_size=2)
    try:
        async with open_log(variables, pool) as bus:
            messages = await _messages(bus)
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


async def _messages(bus: Bus) -> list[ActivityRecorded]:
    found: list[ActivityRecorded] = []
    for place, (first, end) in (await bus.heads(ACTIVITY.name)).items():
        at = first
        while at < end and (records := await bus.browse(place, at, max_records=PAGE)):
            at = records[-1].offset + 1
            found += [_DECODER.decode(record.value) for record in records]
    return found
