"""Clients of both instances: they try again on anything but 2xx and 4xx, and note what was acknowledged."""

import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx2

from tests.faults.halt import Halt
from tests.faults.journal import Journal, Outcome
from tests.faults.machine import Machine
from tests.faults.part import Part
from tests.faults.traffic import Visitors

# The server promises an answer within 5 s; a frozen one gives none.
PATIENCE_SECONDS = 6.0
TWICE_PERCENT = 5
# Refusals that ask to come again.
COME_AGAIN = (408, 425, 429)


def http(machine: Machine, scope: str) -> httpx2.Client:
    """Return a client with the key of that scope."""
    headers = {"authorization": f"Bearer {machine.keys[scope]}"}
    return httpx2.Client(headers=headers, timeout=PATIENCE_SECONDS, trust_env=False)


@dataclass(frozen=True, slots=True)
class Told:
    """What is known after an attempt: (status, body) or the fault's name, and which victim was asked."""

    outcome: Outcome
    told: Any
    via: str


class Caller:
    """Asks now one instance, now the other; threads may share it."""

    def __init__(self, machine: Machine, journal: Journal, halt: Halt, scope: str, seed: str) -> None:
        self._machine = machine
        self._journal = journal
        self._halt = halt
        self._client = http(machine, scope)
        self._rng = random.Random(seed)

    def close(self) -> None:
        self._client.close()

    def deliver(self, op: str, ids: list[str], path: str, **request: Any) -> Told | None:
        """POST until it is taken or refused, noting every attempt; None where it is given up."""
        while not self._halt.given_up():
            self._journal.note(op, ids, "invoke")
            answer = self._attempt(path, **request)
            self._journal.note(op, ids, answer.outcome, answer.told, answer.via)
            if answer.outcome != "unknown":
                return answer
            time.sleep(self._rng.uniform(0.05, 0.5))
        return None

    def read(self, path: str, parameters: Mapping[str, Any] | None = None) -> Any:
        """GET once; None where nobody answers or the answer is none."""
        url = self._rng.choice(self._machine.doors(path)).url
        try:
            answer = self._client.get(url + path, params=parameters)
        except httpx2.TransportError:
            return None
        return answer.json() if answer.is_success else None

    def _attempt(self, path: str, **request: Any) -> Told:
        door = self._rng.choice(self._machine.doors(path))
        try:
            answer = self._client.post(door.url + path, **request)
        except httpx2.TransportError as gone:
            return Told("unknown", type(gone).__name__, door.victim)
        told = [answer.status_code, answer.text[:2000]]
        if answer.is_success:
            return Told("ok", told, door.victim)
        final = 400 <= answer.status_code < 500 and answer.status_code not in COME_AGAIN
        if "retry-after" in answer.headers:
            final = False
        return Told("fail" if final else "unknown", told, door.victim)


class Poster(Part):
    """One client. `rate` items a second, if the machine keeps up; some are sent once more after success."""

    def __init__(self, caller: Caller, halt: Halt, visitors: Visitors, *, rate: float, seed: str) -> None:
        super().__init__("poster")
        self._caller = caller
        self._halt = halt
        self._visitors = visitors
        self._rate = rate
        self._rng = random.Random(seed)

    def work(self) -> None:
        for item in self._visitors.items():
            if self._halt.ending():
                return
            times = 2 if self._rng.randrange(100) < TWICE_PERCENT else 1
            for _ in range(times):
                self._caller.deliver(item.op, list(item.ids), item.path, json=item.body)
            time.sleep(self._rng.uniform(0, 2 / self._rate))
