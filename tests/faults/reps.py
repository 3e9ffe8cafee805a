"""Salespeople: they accept, reject, click twice, carry on to won or lost, or stay silent."""

import hashlib
import random
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from tests.faults.clients import Caller
from tests.faults.halt import Halt
from tests.faults.part import Part

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
    ("pause2", "resume", "accept", "pause", "contact"),
    ("pause", "accept", "pause2", "resume2", "pause", "contact", "qualify"),
)
PAUSES = ("pause", "resume")
BODIES: dict[str, dict[str, Any]] = {
    "reject": {"reason": "no_budget"},
    "pause": {"reason": "meeting"},
    "junk": {"reason": "junk"},
    "contact": {"channel": "phone"},
    "qualify": {"stage": "qualified", "amount": 1000, "currency": "EUR"},
    "lose": {"reason": "no_budget"},
}


def habit(handoff_id: str) -> tuple[str, ...]:
    """Return what will be done with a hand-off; who asks again is told the same."""
    return HABITS[hashlib.sha256(handoff_id.encode()).digest()[0] % len(HABITS)]


class Desk(Part):
    """The people's side of routing: looks at open hand-offs and does the next act of each."""

    def __init__(self, caller: Caller, halt: Halt, seed: int) -> None:
        super().__init__("desk")
        self._caller = caller
        self._halt = halt
        self._rng = random.Random(f"desk {seed}")
        self._done: dict[str, int] = {}
        self._twice = ThreadPoolExecutor(2)

    def work(self) -> None:
        try:
            while not self._halt.ending():
                for handoff in self._open_handoffs():
                    if not self._halt.ending():
                        self._next_act(handoff)
                self._halt.pause()
        finally:
            self._twice.shutdown()

    def _open_handoffs(self) -> list[dict[str, Any]]:
        answer = self._caller.read("/v1/handoffs", {"open": "true", "limit": 200})
        found: list[dict[str, Any]] = answer["data"] if answer else []
        self._rng.shuffle(found)
        return found

    def _next_act(self, handoff: dict[str, Any]) -> None:
        at = self._done.get(handoff["id"], 0)
        acts = habit(handoff["id"])
        if at >= len(acts) or self._rng.randrange(3) == 0:
            return
        self._done[handoff["id"]] = at + 1
        name, hits = acts[at].removesuffix("2"), 2 if acts[at].endswith("2") else 1
        act = self._act if name not in PAUSES else partial(self._pause, number=at)
        clicks = [self._twice.submit(act, handoff, name) for _ in range(hits)]
        for click in clicks:
            click.result()

    def _act(self, handoff: dict[str, Any], name: str) -> None:
        verb = "reject" if name == "junk" else name
        body = {"by": handoff["person_id"], **BODIES.get(name, {})}
        path = f"/v1/handoffs/{handoff['id']}/{verb}"
        self._caller.deliver("act", [f"{handoff['id']} {verb}"], path, json=body)

    def _pause(self, handoff: dict[str, Any], name: str, *, number: int) -> None:
        """Pause or resume the clock. A pause is known by its key: two clicks are one pause."""
        key = f"{handoff['id']} {number}"
        body = {"by": handoff["person_id"], **BODIES.get(name, {})}
        path = f"/v1/handoffs/{handoff['id']}/{name}"
        self._caller.deliver(name, [key], path, json=body, headers={"idempotency-key": key})
