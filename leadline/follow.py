"""What `leadline up` shows once it runs, from the feed over HTTP and the snapshots on the bus.

Where it has come to is kept in the data directory, so a new start goes on there.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import structlog

from leadline.console import Line, Names, line_of, names_of, scored_line
from leadline.runtime_file import read_private, write_private
from leadline.standalone import Follow, Ready
from shared.bus.choice import open_seldom, settings_of_bus
from shared.bus.port import Bus, BusUnavailable, OffsetOutOfRange, Partition, Record, UnknownTopic
from shared.contracts.topics import LEADS
from shared.db.pool import create_pool

log = structlog.get_logger()

POLL_SECONDS = 0.4
# Retention may drop what was about to be read, and topics may not be there before Kafka is.
PASSING = (httpx2.HTTPError, BusUnavailable, OffsetOutOfRange, UnknownTopic)
# A person cannot read more between two polls; the rest is counted.
MOST_SCORED_LINES = 40
MOST_READ = 500
# Longer than a lead takes from one service to the next, short enough to watch.
HOLD = timedelta(seconds=1.2)
PLACE = "console.json"


def follow_leads(show: Callable[[str], None], data_dir: Path) -> Follow:
    """Return the follower that prints one line for each thing that happens to a lead."""

    async def follow(ready: Ready, stop: asyncio.Event) -> None:
        held = Held()
        async with (
            httpx2.AsyncClient(
                base_url=ready.url,
                headers={"authorization": f"Bearer {ready.keys['read']}"},
                timeout=5.0,
                trust_env=False,
            ) as http,
            opened_bus(ready.database_url) as bus,
        ):
            follower = Follower(bus, data_dir / PLACE)
            while not stop.is_set():
                # The processes behind it may be starting again; the lines wait for them.
                with contextlib.suppress(*PASSING):
                    held.add(await follower.lines(http))
                for text in held.take(datetime.now(UTC)):
                    show(text)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), POLL_SECONDS)
        for text in held.take(None):
            show(text)

    return follow


@contextlib.asynccontextmanager
async def opened_bus(database_url: str) -> AsyncIterator[Bus]:
    """Open the bus to look at, as the user of the database's URL; nothing is connected before a look."""
    pool = await create_pool(
        database_url, service="scoring", role=None, application="leadline-console", min_size=0, max_size=2
    )
    try:
        async with open_seldom(settings_of_bus(), pool) as bus:
            yield bus
    finally:
        pool.terminate()


class Held:
    """Lines held back for a moment: effects may be read before their causes, from another stream."""

    def __init__(self) -> None:
        self._lines: list[Line] = []

    def add(self, lines: Sequence[Line]) -> None:
        """Hold `lines` too; of one instant, those added first come first."""
        self._lines = sorted([*self._lines, *lines], key=lambda line: line.at)

    def take(self, now: datetime | None) -> list[str]:
        """Return what has been held for long enough at `now`, oldest first; everything where it is None."""
        ripe = self._lines if now is None else [line for line in self._lines if line.at <= now - HOLD]
        self._lines = self._lines[len(ripe) :]
        return [line.text for line in ripe]


class Follower:
    """Reads on from its place at each call of `lines`."""

    def __init__(self, bus: Bus, place: Path) -> None:
        self._bus = bus
        self._place = place
        kept = read_private(place) or {}
        self._cursor: str | None = kept.get("cursor")
        self._positions: dict[str, int] = dict(kept.get("positions") or {})
        self._names: Names = {}

    async def lines(self, http: httpx2.AsyncClient) -> list[Line]:
        """Return the lines of what has happened since the last call."""
        before = (self._cursor, dict(self._positions))
        lines = [*await self._scored(), *await self._feed(http)]
        if before != (self._cursor, self._positions):
            write_private(self._place, {"cursor": self._cursor, "positions": self._positions})
        return lines

    async def _feed(self, http: httpx2.AsyncClient) -> list[Line]:
        answer = await http.get("/v1/events", params={"after": self._cursor} if self._cursor else {})
        if answer.status_code in (httpx2.codes.GONE, httpx2.codes.CONFLICT):
            self._cursor = None
            return []
        if not answer.is_success:
            return []
        page = answer.json()
        self._cursor = page.get("next") or self._cursor
        # A push may have brought people whose names are not known yet.
        people_named = {event["data"].get("person_id") for event in page["data"]} - {None}
        if not people_named <= self._names.keys():
            people = await http.get("/v1/people")
            self._names = names_of(people.json()) if people.is_success else self._names
        return [line for event in page["data"] if (line := line_of(event, self._names))]

    def _position(self, place: Partition, first: int, end: int) -> int:
        """Return where to read on; a place beyond the end was kept of another log, so all is new."""
        kept = self._positions.get(str(place.number), 0)
        return kept if first <= kept <= end else first

    async def _scored(self) -> list[Line]:
        records: list[Record] = []
        for place, (first, end) in (await self._bus.heads(LEADS.name)).items():
            at = self._position(place, first, end)
            if at < end:
                records += await self._bus.browse(place, at, max_records=MOST_READ)
        for record in records:
            self._positions[str(record.partition.number)] = record.offset + 1
        return _scored_lines(sorted(records, key=lambda record: record.appended_at))


def _scored_lines(records: Sequence[Record]) -> list[Line]:
    lines = []
    for record in records:
        message = json.loads(record.value)
        # Merges and unmerges travel on the same topic; only a snapshot has a grade.
        if "grade" in message:
            lines.append(scored_line(message, record.appended_at))
    if len(lines) > MOST_SCORED_LINES:
        last = lines[MOST_SCORED_LINES - 1]
        more = Line(last.at, f"          ... and {len(lines) - MOST_SCORED_LINES} more scored")
        return [*lines[:MOST_SCORED_LINES], more]
    return lines
