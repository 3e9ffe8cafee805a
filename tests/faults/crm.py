"""A CRM that tells what it knows of leads: late, out of order, twice, and often what cannot be."""

import random
from typing import Any

from tests.faults.clients import Caller
from tests.faults.halt import Halt
from tests.faults.part import Part

ACTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("accept", {}),
    ("contact", {"channel": "email"}),
    ("qualify", {"stage": "unqualified", "amount": 500}),
    ("qualify", {"stage": "qualified", "amount": 700}),
    ("qualify", {"stage": "no such stage"}),
    ("win", {"amount": 900, "currency": "EUR"}),
    ("lose", {"reason": "no_budget"}),
    ("reject", {"reason": "no_budget"}),
    ("reject", {"reason": "no such reason"}),
    ("recycle", {"reason": "no_budget"}),
    ("disqualify", {"reason": "junk"}),
)
# Leads it has heard of lately; some of them are nobody's by now.
REMEMBERED = 60


class Crm(Part):
    """Tells of one lead after the other. `by` names what is told, `note` the single telling of it."""

    def __init__(self, caller: Caller, halt: Halt, seed: int) -> None:
        super().__init__("crm")
        self._caller = caller
        self._halt = halt
        self._rng = random.Random(f"crm {seed}")
        self._known: dict[str, None] = {}

    def work(self) -> None:
        number = 0
        while not self._halt.ending():
            self._learn()
            if self._known:
                number += 1
                self._tell(f"crm-{number}")
            self._halt.pause()

    def _learn(self) -> None:
        answer = self._caller.read("/v1/handoffs", {"open": "true", "limit": 20})
        for handoff in answer["data"] if answer else []:
            self._known[handoff["lead_id"]] = None
        for lead_id in list(self._known)[:-REMEMBERED]:
            del self._known[lead_id]

    def _tell(self, fact: str) -> None:
        lead_id = self._rng.choice(list(self._known))
        act, particulars = self._rng.choice(ACTS)
        path = f"/v1/lifecycle/{lead_id}/feedback"
        fact = f"{fact}.{act}"
        # Told again as news (another key), and sent again as if the answer had been lost (the same key).
        tellings = self._rng.choices(((0,), (0, 1), (0, 0), (0, 1, 0)), weights=(6, 2, 1, 1))[0]
        for number in tellings:
            telling = f"{fact}.{number}"
            body = {"act": act, "by": fact, "note": telling, **particulars}
            self._caller.deliver("feedback", [telling], path, json=body, headers={"idempotency-key": telling})
