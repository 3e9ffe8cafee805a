"""Clients that post traffic, try again on anything but 2xx and 4xx, and note what was acknowledged."""

import random
import threading
import time
from typing import Any

import httpx2

from tests.faults.journal import Journal, Outcome
from tests.faults.machine import Machine
from tests.faults.traffic import Item, Visitors

# The server promises an answer within 5 s; a frozen one gives none.
PATIENCE_SECONDS = 6.0
# After the faults have ended everything must be taken within this time.
HEALED_SECONDS = 60.0
TWICE_PERCENT = 5


class Halt:
    """When clients stop to begin something new, and when they give up what they have begun."""

    def __init__(self, ends_at: float) -> None:
        self.ends_at = ends_at
        self.gives_up_at = ends_at + HEALED_SECONDS + 30

    def ending(self) -> bool:
        return time.monotonic() >= self.ends_at

    def pause(self) -> None:
        """Wait a little before the next attempt."""
        time.sleep(0.2)

    def given_up(self) -> bool:
        return time.monotonic() >= self.gives_up_at


def http(machine: Machine, scope: str) -> httpx2.Client:
    """Return a client with the key of that scope."""
    headers = {"authorization": f"Bearer {machine.keys[scope]}"}
    return httpx2.Client(headers=headers, timeout=PATIENCE_SECONDS, trust_env=False)


def attempt(
    client: httpx2.Client, machine: Machine, method: str, path: str, **request: Any
) -> tuple[Outcome, Any]:
    """Try once; return what is known then, and what was answered: (status, body) or the fault's name."""
    try:
        answer = client.request(method, machine.base(path) + path, **request)
    except httpx2.TransportError as gone:
        return "unknown", type(gone).__name__
    told = [answer.status_code, answer.text[:2000]]
    if answer.is_success:
        return "ok", told
    refused = 400 <= answer.status_code < 500 and answer.status_code not in (408, 425, 429)
    return ("fail" if refused else "unknown"), told


class Poster(threading.Thread):
    """One client. `rate` items a second, if the machine keeps up; some are sent once more after success."""

    def __init__(
        self, machine: Machine, journal: Journal, halt: Halt, visitors: Visitors, *, rate: float, seed: int
    ) -> None:
        super().__init__(name="poster", daemon=True)
        self._machine = machine
        self._journal = journal
        self._halt = halt
        self._visitors = visitors
        self._rate = rate
        self._rng = random.Random(seed)
        self.failed: BaseException | None = None

    def run(self) -> None:
        try:
            with http(self._machine, "ingest") as client:
                for item in self._visitors.items():
                    if self._halt.ending():
                        return
                    self._deliver(client, item)
                    if self._rng.randrange(100) < TWICE_PERCENT:
                        self._deliver(client, item)
                    time.sleep(self._rng.uniform(0, 2 / self._rate))
        except BaseException as failed:
            self.failed = failed

    def _deliver(self, client: httpx2.Client, item: Item) -> None:
        ids = list(item.ids)
        while not self._halt.given_up():
            self._journal.note(item.op, ids, "invoke")
            outcome, told = attempt(client, self._machine, "POST", item.path, json=item.body)
            self._journal.note(item.op, ids, outcome, told)
            if outcome != "unknown":
                return
            time.sleep(self._rng.uniform(0.05, 0.5))
