"""The demonstration's salespeople: each has a habit, and acts on open hand-offs through the HTTP API."""

import asyncio
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx2

LOOK_SECONDS = 1.0
Handoff = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Habit:
    """How one rep works. Seconds are those from a hand-off to the act; `rejects` of 100 are given back.

    `silent_every`: every n-th hand-off is never touched (0: none), so that its clock breaches.
    """

    accepts_after: tuple[float, float] = (2.0, 6.0)
    contacts_after: tuple[float, float] = (3.0, 8.0)
    decides_after: tuple[float, float] = (6.0, 15.0)
    rejects: int = 10
    silent_every: int = 0
    away_every_seconds: float = 0.0


# Ids are those of `policy.yaml` beside this file.
HABITS: Mapping[str, Habit] = {
    "anna": Habit(rejects=5),
    "bilal": Habit(accepts_after=(13.0, 18.0), rejects=10),
    "carmen": Habit(rejects=60),
    "dmitri": Habit(silent_every=1),
    "emily": Habit(),
    "femi": Habit(away_every_seconds=45.0),
    "grace": Habit(accepts_after=(5.0, 12.0), rejects=20),
    "katrin": Habit(rejects=0),
    "marcus": Habit(rejects=25),
    "wei": Habit(accepts_after=(8.0, 16.0)),
    "hiro": Habit(contacts_after=(22.0, 30.0)),
}
REASONS = ("no_budget", "bad_timing", "not_a_fit", "no_answer")


class Desk:
    """Works one rep's hand-offs, one act at a time, as their habit says."""

    def __init__(self, client: httpx2.AsyncClient, person_id: str, rng: random.Random) -> None:
        self._client = client
        self._person = person_id
        self._habit = HABITS.get(person_id, Habit())
        self._rng = rng
        self._busy: dict[str, asyncio.Task[None]] = {}
        self._seen = 0

    async def run(self) -> None:
        """Look for new hand-offs for ever."""
        if self._habit.away_every_seconds:
            self._busy["breaks"] = asyncio.create_task(self._takes_breaks())
        while True:
            for handoff in await self._open_handoffs():
                if handoff["id"] not in self._busy:
                    self._busy[handoff["id"]] = asyncio.create_task(self._work(handoff))
            await asyncio.sleep(LOOK_SECONDS)

    async def _open_handoffs(self) -> list[Handoff]:
        try:
            answer = await self._client.get(
                "/v1/handoffs", params={"person": self._person, "open": "true", "limit": "50"}
            )
        except httpx2.TransportError:
            return []
        found: list[Handoff] = answer.json()["data"] if answer.is_success else []
        return found

    async def _work(self, handoff: Handoff) -> None:
        self._seen += 1
        if self._habit.silent_every and self._seen % self._habit.silent_every == 0:
            return
        await self._pause(self._habit.accepts_after)
        if self._rng.randrange(100) < self._habit.rejects:
            await self._act(handoff, "reject", {"reason": self._rng.choice(REASONS)})
            return
        await self._act(handoff, "accept", {})
        await self._pause(self._habit.contacts_after)
        await self._act(handoff, "contact", {"channel": self._rng.choice(("call", "email"))})
        await self._pause(self._habit.decides_after)
        if self._rng.randrange(100) < self._habit.rejects:
            await self._act(handoff, "recycle", {"reason": "no_answer"})
            return
        await self._act(
            handoff, "qualify", {"stage": "unqualified", "amount": self._amount(), "currency": "EUR"}
        )

    async def _takes_breaks(self) -> None:
        while True:
            await asyncio.sleep(self._habit.away_every_seconds)
            await self._set_online(False)
            await self._pause((12.0, 20.0))
            await self._set_online(True)

    async def _set_online(self, online: bool) -> None:
        try:
            await self._client.patch(f"/v1/people/{self._person}", json={"online": online})
        except httpx2.TransportError:
            return

    async def _act(self, handoff: Handoff, act: str, details: Mapping[str, Any]) -> None:
        """Act once; what somebody or some clock has done meanwhile is answered 409 and left alone."""
        body = {"by": self._person, **details}
        try:
            await self._client.post(f"/v1/handoffs/{handoff['id']}/{act}", json=body)
        except httpx2.TransportError:
            return

    async def _pause(self, bounds: tuple[float, float]) -> None:
        await asyncio.sleep(self._rng.uniform(*bounds))

    def _amount(self) -> float:
        return float(self._rng.choice((4_800, 9_600, 18_000, 36_000)))
