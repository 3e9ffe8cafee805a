"""A CRM that follows the feed through all faults, from cursor to cursor."""

import threading
from typing import Any

import httpx2

from tests.faults.clients import Halt, http
from tests.faults.machine import Machine

WAIT_SECONDS = 2
PATH = "/v1/events"


class Follower(threading.Thread):
    """Reads until the run ends; `catch_up` reads the rest. `seen`: ids in the order in which they came."""

    def __init__(self, machine: Machine, halt: Halt) -> None:
        super().__init__(name="follower", daemon=True)
        self._machine = machine
        self._halt = halt
        self._cursor: str | None = None
        self.seen: list[str] = []
        self.failed: BaseException | None = None

    def run(self) -> None:
        try:
            with http(self._machine, "read") as client:
                while not self._halt.ending():
                    self._read(client, wait=WAIT_SECONDS)
        except BaseException as failed:
            self.failed = failed

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
            answer = client.get(self._machine.base(PATH) + PATH, params=parameters)
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
