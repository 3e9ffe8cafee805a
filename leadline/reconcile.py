"""The reconciliation across services: what one handed on, the next has, holds, or still finds in the log."""

import asyncio
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Protocol, cast

from leadline.letters import Holder
from shared.bus.port import Bus, Partition, Record
from shared.contracts.envelope import from_headers
from shared.contracts.topics import ACTIVITY, TOPICS, ServiceName
from shared.runtime import Finding, WiredService

PAGE = 2000
SHOWN = 20
# What is in flight between two services arrives within a second; a backlog may take longer and is no loss.
PATIENCE_SECONDS = 3.0
LOOK_AGAIN_SECONDS = 0.25


class Intake(Protocol):
    """What ingest can tell: (submission id, event id, sent) of its mapped receipts, page by page."""

    async def receipt_events(self, after: str | None, limit: int) -> list[tuple[str, str, bool]]: ...


class Scores(Protocol):
    """What scoring can tell."""

    async def missing_events(self, event_ids: Collection[str]) -> list[str]:
        """Return those that are neither in the timeline nor among the dead letters."""
        ...

    async def published_leads(self, after: str | None, limit: int) -> list[tuple[str, int, int]]:
        """Return (lead id, revision, cycle) of the leads that routing was told of, page by page."""
        ...


class Lifecycle(Protocol):
    """What routing can tell."""

    async def known_leads(self, lead_ids: Sequence[str]) -> set[str]:
        """Return those that routing knows, redirected ones included."""
        ...


async def events_arrive(intake: Intake, scores: Scores) -> Finding:
    """Check that every event of a receipt that was sent is in scoring's timeline or a dead letter."""
    checked, missing, after = 0, list[str](), None
    while page := await intake.receipt_events(after, PAGE):
        after = page[-1][0]
        sent = [event for _, event, was_sent in page if was_sent]
        checked += len(page)
        missing += await scores.missing_events(sent)
    missing = await _still(missing, scores.missing_events)
    return Finding("every event of a receipt is in scoring's timeline or held", checked, missing[:SHOWN])


async def log_arrives(bus: Bus, reached: Mapping[Partition, int], scores: Scores) -> Finding:
    """Check that every event of the log before the positions `reached` is in scoring's timeline or held."""
    checked, missing = 0, list[str]()
    for place, end in reached.items():
        at = (await bus.heads(place.topic))[place][0]
        while at < end and (found := await bus.browse(place, at, max_records=PAGE)):
            at = found[-1].offset + 1
            ids = {event_id for record in found if record.offset < end and (event_id := _event_id(record))}
            checked += len(ids)
            missing += await scores.missing_events(ids)
    missing = await _still(missing, scores.missing_events)
    return Finding("every event of the log is in scoring's timeline or held", checked, missing[:SHOWN])


def _event_id(record: Record) -> str | None:
    """Return the event's id; None for a message whose envelope names none that scoring could know."""
    try:
        return str(uuid.UUID(from_headers(record.headers).id))
    except ValueError:
        return None


async def leads_arrive(scores: Scores, lifecycle: Lifecycle) -> Finding:
    """Check that routing knows every lead of which scoring has published a snapshot."""

    async def unknown(lead_ids: Collection[str]) -> list[str]:
        known = await lifecycle.known_leads(list(lead_ids))
        return [lead_id for lead_id in lead_ids if lead_id not in known]

    checked, missing, after = 0, list[str](), None
    while page := await scores.published_leads(after, PAGE):
        after = page[-1][0]
        checked += len(page)
        missing += await unknown([lead_id for lead_id, _, _ in page])
    missing = await _still(missing, unknown)
    return Finding("routing knows every lead that scoring has published", checked, missing[:SHOWN])


class Ask(Protocol):
    """Return those of the ids that are (still) missing."""

    async def __call__(self, ids: Collection[str], /) -> list[str]: ...


async def _still(missing: list[str], ask: Ask) -> list[str]:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PATIENCE_SECONDS
    while missing and loop.time() < deadline:
        await asyncio.sleep(LOOK_AGAIN_SECONDS)
        missing = [late for part in _parts(missing) for late in await ask(part)]
    return missing


def _parts(ids: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(ids), PAGE):
        yield ids[start : start + PAGE]


async def positions_hold(holders: Mapping[ServiceName, Holder]) -> list[Finding]:
    """Check of every consumer that it stands inside the log: nothing it has not read was trimmed away."""
    findings = []
    for topic in TOPICS:
        for service in topic.consumers:
            holder = holders[service]
            positions = await _positions(holder, topic.name)
            heads = await holder.bus.heads(topic.name)
            problems = [
                f"partition {partition.number} is at {position}, the log holds {heads[partition]}"
                for partition, position in positions.items()
                if not heads[partition][0] <= position <= heads[partition][1]
            ]
            check = f"{service} stands inside the log of {topic.name}"
            findings.append(Finding(check, len(positions), problems))
    return findings


async def _positions(holder: Holder, topic: str) -> dict[Partition, int]:
    async with holder.database.connection() as connection:
        rows = await connection.fetch(
            f"SELECT partition, next_offset FROM {holder.database.schema}.consumer_position WHERE topic = $1",
            topic,
        )
    return {Partition(topic, row["partition"]): row["next_offset"] for row in rows}


async def across(
    services: Mapping[ServiceName, WiredService], holders: Mapping[ServiceName, Holder]
) -> list[Finding]:
    """Return what only somebody who sees all services can check."""
    intake = cast(Intake, services["ingest"].views)
    scores = cast(Scores, services["scoring"].views)
    lifecycle = cast(Lifecycle, services["routing"].views)
    scoring = holders["scoring"]
    return [
        await events_arrive(intake, scores),
        await log_arrives(scoring.bus, await _positions(scoring, ACTIVITY.name), scores),
        await leads_arrive(scores, lifecycle),
        *await positions_hold(holders),
    ]
