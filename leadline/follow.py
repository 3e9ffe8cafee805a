"""What `leadline up` shows once it runs, from the feed over HTTP and the snapshots on the bus.

Where it has come to is kept in the data directory, so a new start goes on there.
"""

import asyncio
import contextlib
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import httpx2
import structlog

from leadline.console import Line, Names, line_of, names_of, scored_line
from leadline.runtime_file import read_private, write_private
from leadline.standalone import Follow, Ready
from shared.bus.blocks import unpack
from shared.contracts.topics import LEADS

log = structlog.get_logger()

POLL_SECONDS = 0.4
# The last is what a connection says that was cut in the middle of an answer.
PASSING = (
    httpx2.HTTPError,
    OSError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)
# A person cannot read more between two polls; the rest is counted.
MOST_SCORED_LINES = 40
# Longer than a lead takes from one service to the next, short enough to watch.
HOLD = timedelta(seconds=1.2)
PLACE = "console.json"


def follow_leads(show: Callable[[str], None], data_dir: Path) -> Follow:
    """Return the follower that prints one line for each thing that happens to a lead."""

    async def follow(ready: Ready, stop: asyncio.Event) -> None:
        follower = Follower(ready, data_dir / PLACE)
        held = Held()
        async with httpx2.AsyncClient(
            base_url=ready.url,
            headers={"authorization": f"Bearer {ready.keys['read']}"},
            timeout=5.0,
            trust_env=False,
        ) as http:
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

    def __init__(self, ready: Ready, place: Path) -> None:
        self._database_url = ready.database_url
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

    def _position(self, head: asyncpg.Record) -> int:
        """Return where to read on; a place beyond the end was kept of another database, so all is new."""
        kept = self._positions.get(str(head["partition"]), 0)
        first: int = head["first_offset"]
        return kept if first <= kept <= head["next_offset"] else first

    async def _scored(self) -> list[Line]:
        connection = await asyncpg.connect(self._database_url, timeout=5)
        try:
            heads = await connection.fetch("SELECT * FROM bus.heads($1)", LEADS.name)
            partitions = [head["partition"] for head in heads]
            positions = [self._position(head) for head in heads]
            blocks = await connection.fetch(
                "SELECT partition, last_offset, body, appended_at FROM bus.fetch($1, $2, $3, 2000)",
                [LEADS.name] * len(partitions),
                partitions,
                positions,
            )
        finally:
            await connection.close()
        wanted = dict(zip(partitions, positions, strict=True))
        values: list[tuple[datetime, bytes]] = []
        for block in blocks:
            self._positions[str(block["partition"])] = block["last_offset"] + 1
            entries = unpack(block["body"], block["last_offset"], wanted[block["partition"]])
            values += [(block["appended_at"], value) for _, (_, _, value) in entries]
        return _scored_lines(sorted(values, key=lambda told: told[0]))


def _scored_lines(values: Sequence[tuple[datetime, bytes]]) -> list[Line]:
    lines = []
    for appended_at, value in values:
        message = json.loads(value)
        # Merges and unmerges travel on the same topic; only a snapshot has a grade.
        if "grade" in message:
            lines.append(scored_line(message, appended_at))
    if len(lines) > MOST_SCORED_LINES:
        last = lines[MOST_SCORED_LINES - 1]
        more = Line(last.at, f"          ... and {len(lines) - MOST_SCORED_LINES} more scored")
        return [*lines[:MOST_SCORED_LINES], more]
    return lines
