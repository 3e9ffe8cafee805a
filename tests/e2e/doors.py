"""The doors of a running Leadline, asked one by one: what each answered, and how long that took."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import httpx2

from tests.support.eventually import eventually
from tests.support.running import RunningLeadline, tell

# The promise is 5 s from the whole request to the answer; a loaded machine may add to the way there.
PROMISE_SECONDS = 5.0
CLIENT_SECONDS = 12.0

TRACK = ("ingest", "POST", "/v1/track")
FORM = ("ingest", "POST", "/v1/forms/website")
LEADS = ("read", "GET", "/v1/leads")
HANDOFFS = ("read", "GET", "/v1/handoffs")
ACCEPT = ("work", "POST", "/v1/handoffs/ho_00000000000000000000000000000000/accept")
STATUS = ("read", "GET", "/v1/status")
READY = ("read", "GET", "/readyz")

Door = tuple[str, str, str]
DOORS: tuple[Door, ...] = (TRACK, FORM, LEADS, HANDOFFS, ACCEPT, STATUS, READY)
BODIES: dict[Door, object] = {
    TRACK: {"anonymousId": "visitor", "event": "Looked"},
    FORM: {"email": "ada@faults.example", "message": "Hello"},
    ACCEPT: {"by": "nobody"},
}


@dataclass(frozen=True)
class Heard:
    """One answer: its status, how long it took, what it says."""

    door: Door
    status: int
    seconds: float
    retry_after: str | None
    body: str


async def ask(
    leadline: RunningLeadline, client: httpx2.AsyncClient, door: Door, body: object | None
) -> Heard:
    scope, method, path = door
    headers = {"authorization": f"Bearer {leadline.ready['keys'][scope]}"}
    began = time.monotonic()
    answer = await client.request(method, path, json=body, headers=headers)
    seconds = time.monotonic() - began
    return Heard(door, answer.status_code, seconds, answer.headers.get("retry-after"), answer.text)


async def ask_all(
    leadline: RunningLeadline, doors: Sequence[Door] = DOORS, bodies: Mapping[Door, object] = BODIES
) -> list[Heard]:
    """Ask each door on a connection of its own, so that no answer waits behind another.

    One client makes them all: to make a client takes longer than to answer, and would count as the answer's.
    """
    no_reuse = httpx2.Limits(max_keepalive_connections=0)
    async with httpx2.AsyncClient(
        base_url=leadline.url, timeout=CLIENT_SECONDS, trust_env=False, limits=no_reuse
    ) as client:
        return await asyncio.gather(*(ask(leadline, client, door, bodies.get(door)) for door in doors))


def refused(heard: Sequence[Heard]) -> bool:
    """Assert that each was told in time to come back; return whether that is so."""
    wrong = [
        one for one in heard if one.status != 503 or one.seconds > PROMISE_SECONDS or one.retry_after is None
    ]
    assert not wrong, wrong
    return True


def body_of(heard: Sequence[Heard], door: Door) -> str:
    return next(one.body for one in heard if one.door == door)


async def well(leadline: RunningLeadline) -> None:
    """Wait until every door answers as it should."""

    async def every_door() -> bool:
        try:
            heard = {one.door: one.status for one in await ask_all(leadline)}
        except httpx2.TransportError as gone:
            raise AssertionError(type(gone).__name__) from gone
        assert heard.pop(ACCEPT) == 404
        assert all(200 <= status < 300 for status in heard.values()), heard
        return True

    await eventually(every_door, timeout_seconds=30, what=f"all doors\n{tell(leadline.data_dir)}")


def pids(leadline: RunningLeadline) -> dict[str, int]:
    children = {name: leadline.child(name) for name in ("api", "work")}
    return {name: child.pid for name, child in children.items() if child is not None}
