"""Whoever keeps the data clean: says that two leads are one person, or that one lead is two."""

import random
import time
from typing import Any

from tests.faults.clients import Caller
from tests.faults.halt import Halt
from tests.faults.part import Part

PAUSE_SECONDS = 1.5
LATEST = 30


class Steward(Part):
    """Merges leads of the latest and splits those that have several addresses."""

    def __init__(self, caller: Caller, halt: Halt, seed: int) -> None:
        super().__init__("steward")
        self._caller = caller
        self._halt = halt
        self._rng = random.Random(f"steward {seed}")
        self._number = 0

    def work(self) -> None:
        while not self._halt.ending():
            answer = self._caller.read("/v1/leads", {"limit": LATEST})
            latest: list[str] = [lead["lead_id"] for lead in answer["data"]] if answer else []
            if len(latest) > 1:
                self._rng.shuffle(latest)
                self._unmerge(latest) if self._rng.randrange(2) else self._merge(latest)
            time.sleep(self._rng.uniform(0, 2 * PAUSE_SECONDS))

    def _merge(self, latest: list[str]) -> None:
        one, other = latest[:2]
        self._command("merge", f"{one} {other}", "/v1/merges", {"lead_id": one, "other_lead_id": other})

    def _unmerge(self, latest: list[str]) -> None:
        """Take an address from the first lead that has another identity to keep."""
        for lead_id in latest:
            lead = self._caller.read(f"/v1/leads/{lead_id}")
            identities = lead["identities"] if lead else {}
            emails, users = identities.get("email", []), identities.get("user", [])
            if emails and len(emails) + len(users) > 1:
                leaves = {"kind": "email", "value": self._rng.choice(emails)}
                body = {"lead_id": lead_id, "identities": [leaves]}
                self._command("unmerge", lead_id, "/v1/merges/unmerge", body)
                return

    def _command(self, op: str, leads: str, path: str, body: dict[str, Any]) -> None:
        self._number += 1
        key = f"{op}-{self._number}"
        self._caller.deliver(op, [f"{key} {leads}"], path, json=body, headers={"idempotency-key": key})
