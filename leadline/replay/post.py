"""Posting recorded events over HTTP, waiting until they are worked off, and counting what became of them."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx2

BATCH = 100
IN_FLIGHT = 4
# Leadline restarting takes seconds; longer than this and a person should look.
PATIENCE_SECONDS = 120.0
LOOK_SECONDS = 0.5

Message = Mapping[str, Any]


class ReplayStopped(Exception):
    """Leadline did not take the events, or did not work them off; the message says which and why."""


@dataclass(slots=True)
class Tally:
    """What was sent and how it was answered. accepted + quarantined = sent."""

    sent: int = 0
    accepted: int = 0
    quarantined: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Totals:
    """Counts of a running Leadline: events appended to the log, distinct ones in the timeline, leads one can
    contact, leads ever qualified, leads ever handed over.
    """

    appended: int
    events: int
    leads: int
    qualified: int
    handed_over: int

    def since(self, before: "Totals") -> "Totals":
        """Return what was added after `before`."""
        return Totals(
            self.appended - before.appended,
            self.events - before.events,
            self.leads - before.leads,
            self.qualified - before.qualified,
            self.handed_over - before.handed_over,
        )


async def post_all(
    client: httpx2.AsyncClient, messages: Sequence[Message], progress: Callable[[int], None]
) -> Tally:
    """Post `messages` in batches, IN_FLIGHT at a time; `progress` hears how many more are answered."""
    tally = Tally()
    slots = asyncio.Semaphore(IN_FLIGHT)

    async def post(batch: Sequence[Message]) -> None:
        async with slots:
            answer = await _post_until_answered(client, batch)
        count(tally, batch, answer)
        progress(len(batch))

    async with asyncio.TaskGroup() as group:
        for batch in _batches(messages):
            group.create_task(post(batch))
    return tally


def _batches(messages: Sequence[Message]) -> Iterable[Sequence[Message]]:
    return (messages[start : start + BATCH] for start in range(0, len(messages), BATCH))


def count(tally: Tally, batch: Sequence[Message], answer: Mapping[str, Any]) -> None:
    """Add one answered batch to the tally."""
    parked = answer.get("quarantined", [])
    tally.sent += len(batch)
    tally.accepted += int(answer["accepted"])
    tally.quarantined.update(str(item["code"]) for item in parked)


async def _post_until_answered(client: httpx2.AsyncClient, batch: Sequence[Message]) -> Mapping[str, Any]:
    deadline = asyncio.get_running_loop().time() + PATIENCE_SECONDS
    while True:
        try:
            answer = await client.post("/v1/batch", json={"batch": list(batch)})
        except httpx2.TransportError as fault:
            problem, wait = f"no answer ({type(fault).__name__})", 1.0
        else:
            if answer.is_success:
                found: Mapping[str, Any] = answer.json()
                return found
            if answer.status_code < httpx2.codes.INTERNAL_SERVER_ERROR and answer.status_code != 429:
                raise ReplayStopped(f"the events were refused with {answer.status_code}: {answer.text[:300]}")
            problem = f"answer {answer.status_code}"
            wait = float(answer.headers.get("retry-after", 1))
        if asyncio.get_running_loop().time() > deadline:
            raise ReplayStopped(f"Leadline takes no events: {problem} for {PATIENCE_SECONDS:.0f} s")
        await asyncio.sleep(wait)


async def wait_until_settled(
    client: httpx2.AsyncClient, settled: Callable[[Mapping[str, Any]], bool]
) -> None:
    """Wait until `/v1/status` says that all is worked off; give up when it stands still for too long."""
    last: Mapping[str, Any] = {}
    loop = asyncio.get_running_loop()
    changed_at = loop.time()
    while True:
        answer = await client.get("/v1/status")
        answer.raise_for_status()
        status = answer.json()
        if settled(status):
            return
        if status != last:
            last, changed_at = status, loop.time()
        elif loop.time() - changed_at > PATIENCE_SECONDS:
            raise ReplayStopped("Leadline stopped working off the events; see `leadline status`")
        await asyncio.sleep(LOOK_SECONDS)
