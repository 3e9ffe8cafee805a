"""Salespeople: they accept, reject, click twice, carry on to won or lost, or stay silent."""

import hashlib
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2

from tests.faults.clients import Halt, attempt, http
from tests.faults.journal import Journal
from tests.faults.machine import Machine

# What a rep does with a hand-off, one act after the other; `2` behind an act: the button is hit twice.
HABITS: tuple[tuple[str, ...], ...] = (
    (),
    (),
    ("accept2",),
    ("accept", "contact2", "qualify", "win2"),
    ("accept", "contact", "qualify", "lose"),
    ("accept2", "contact", "qualify"),
    ("contact", "qualify2", "win"),
    ("accept", "reject"),
    ("reject2",),
    ("reject",),
    ("hand-back2",),
    ("accept", "hand-back"),
    ("junk",),
)
BODIES: dict[str, dict[str, Any]] = {
    "reject": {"reason": "no_budget"},
    "junk": {"reason": "junk"},
    "contact": {"channel": "phone"},
    "qualify": {"stage": "qualified", "amount": 1000, "currency": "EUR"},
    "lose": {"reason": "no_budget"},
}


def habit(handoff_id: str) -> tuple[str, ...]:
    """Return what will be done with a hand-off; who asks again is told the same."""
    return HABITS[hashlib.sha256(handoff_id.encode()).digest()[0] % len(HABITS)]


class Desk(threading.Thread):
    """The people's side of routing: looks at open hand-offs and does the next act of each."""

    def __init__(self, machine: Machine, journal: Journal, halt: Halt, seed: int) -> None:
        super().__init__(name="desk", daemon=True)
        self._machine = machine
        self._journal = journal
        self._halt = halt
        self._rng = random.Random(f"desk {seed}")
        self._done: dict[str, int] = {}
        self._twice = ThreadPoolExecutor(2)
        self.failed: BaseException | None = None

    def run(self) -> None:
        try:
            with http(self._machine, "work") as client:
                while not self._halt.ending():
                    for handoff in self._open_handoffs(client):
                        if not self._halt.ending():
                            self._next_act(client, handoff)
                    time.sleep(0.2)
        except BaseException as failed:
            self.failed = failed
        finally:
            self._twice.shutdown()

    def _open_handoffs(self, client: httpx2.Client) -> list[dict[str, Any]]:
        try:
            answer = client.get(
                self._machine.base("/v1/handoffs") + "/v1/handoffs", params={"open": "true", "limit": 200}
            )
        except httpx2.TransportError:
            return []
        found: list[dict[str, Any]] = answer.json()["data"] if answer.is_success else []
        self._rng.shuffle(found)
        return found

    def _next_act(self, client: httpx2.Client, handoff: dict[str, Any]) -> None:
        at = self._done.get(handoff["id"], 0)
        acts = habit(handoff["id"])
        if at >= len(acts) or self._rng.randrange(3) == 0:
            return
        self._done[handoff["id"]] = at + 1
        name, hits = acts[at].removesuffix("2"), 2 if acts[at].endswith("2") else 1
        clicks = [self._twice.submit(self._act, client, handoff, name) for _ in range(hits)]
        for click in clicks:
            click.result()

    def _act(self, client: httpx2.Client, handoff: dict[str, Any], name: str) -> None:
        verb = "reject" if name == "junk" else name
        path = f"/v1/handoffs/{handoff['id']}/{verb}"
        body = {"by": handoff["person_id"], **BODIES.get(name, {})}
        key = [f"{handoff['id']} {verb}"]
        while not self._halt.given_up():
            self._journal.note("act", key, "invoke")
            outcome, told = attempt(client, self._machine, "POST", path, json=body)
            self._journal.note("act", key, outcome, told)
            if outcome != "unknown":
                return
            time.sleep(0.2)
