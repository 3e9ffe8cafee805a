"""A CRM that follows the feed through all faults, from cursor to cursor."""

import random
from typing import Any

import httpx2

from tests.faults.clients import http
from tests.faults.halt import Halt
from tests.faults.machine import Machine
from tests.faults.part import Part

WAIT_SECONDS = 2
PATH = "/v1/events"


class Follower(Part):
    """Reads until the run ends; `catch_up` reads the rest. `seen`: ids in the order in which they came.

    Each page comes from the one or the other instance: a cursor is good for both.
    """

    def __init__(self, machine: Machine, halt: Halt, seed: int) -> None:
        super().__init__("follower")
        self._machine = machine
        self._halt = halt
        self._rng = random.Random(f"follower {seed}")
        self._cursor: str | None = None
        self.seen: list[str] = []

    def work(self) -> None:
        with http(self._machine, "read") as client:
            while not self._halt.ending():
                self._read(client, wait=WAIT_SECONDS)

    def catch_up(self) -> None:
        """Read what came since, once everything is quiet."""
        with http(self._machine, "read") as client:
            while self._read(client, wait=0):
                continue

    def _read(self, client: httpx2.Client, *, wait: int) -> int:
        """Read a page; return how many events it had. A fault is waited out: the cursor stays."""
        parameters: dict[str, Any] = {"wait": wait, "limit": 500}
        if self._cursor:
            parameters["after"] = self._cursor
        try:
            answer = client.get(self._rng.choice(self._machine.doors(PATH)).url + PATH, params=parameters)
        except httpx2.TransportError:
            self._halt.pause()
            return 0
        if not answer.is_success:
            assert answer.status_code >= 500, answer.text
            self._halt.pause()
            return 0
        page = answer.json()
        self._cursor = page["next"]
        self.seen += [event["id"] for event in page["data"]]
        return len(page["data"])
