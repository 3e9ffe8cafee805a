"""One replay from the first event posted to the last one worked off, with what it changed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx2

from leadline.replay.post import Message, Totals, post_all, wait_until_settled

TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Report:
    """What a replay did. `duplicates`: accepted events known already; `visitors`: those of the files.

    Leads, qualified and handed over are what the whole installation gained meanwhile.
    """

    sent: int
    accepted: int
    duplicates: int
    quarantined: Mapping[str, int]
    visitors: int
    leads: int
    qualified: int
    handed_over: int


async def run(messages: Sequence[Message], url: str, key: str) -> Report:
    """Post `messages`, wait until Leadline has worked them off, and report."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx2.AsyncClient(
        base_url=url, headers=headers, timeout=TIMEOUT_SECONDS, trust_env=False
    ) as client:
        before = totals(await _status(client))
        with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
            task = progress.add_task("posting events", total=len(messages))
            tally = await post_all(client, messages, lambda more: progress.advance(task, more))
            progress.add_task("working them off", total=None)
            await wait_until_settled(client, settled)
        gained = totals(await _status(client)).since(before)
    return Report(
        sent=tally.sent,
        accepted=tally.accepted,
        # Of all that came in meanwhile, so that other visitors do not count as ours.
        duplicates=max(0, gained.appended - gained.events),
        quarantined=dict(tally.quarantined),
        visitors=len({m["anonymousId"] for m in messages if "anonymousId" in m}),
        leads=gained.leads,
        qualified=gained.qualified,
        handed_over=gained.handed_over,
    )


async def _status(client: httpx2.AsyncClient) -> Mapping[str, Any]:
    answer = await client.get("/v1/status")
    answer.raise_for_status()
    found: Mapping[str, Any] = answer.json()["services"]
    return found


def totals(services: Mapping[str, Any]) -> Totals:
    """Return the counts that a replay compares, from the services' parts of `/v1/status`."""
    scoring, routing = services["scoring"], services["routing"]
    return Totals(
        appended=services["ingest"]["activity"]["appended"],
        events=scoring["events"],
        leads=scoring["contactable_leads"],
        qualified=routing["qualified_ever"],
        handed_over=routing["handed_over_ever"],
    )


def settled(status: Mapping[str, Any]) -> bool:
    """True when nothing lies between the services: no unsent event, no lag on any topic."""
    return all(
        part["outbox_unsent"] == 0 and all(behind == 0 for behind in part.get("lag", {}).values())
        for part in status["services"].values()
    )
