"""Live visitors of the demonstration: they browse, ask for demos, come back, show up under two addresses."""

import asyncio
import dataclasses
import random
from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import UTC, datetime

from leadline.demo.history import VISITORS, identify, page, page_view, track
from leadline.demo.population import Visitor, make_visitor
from leadline.demo.site import Site

# One new visitor about every four seconds: enough to watch, slow enough to read.
ARRIVAL_SECONDS = (2.0, 6.0)
READING_SECONDS = (0.2, 1.5)
# Longer than any cool-down of the demonstration's policy, so that a recycled lead has new evidence.
RETURN_SECONDS = (35.0, 70.0)
# Of the account in `policy.yaml`: its leads go to the account's owner.
CUSTOMER_DOMAIN = "cobalt-software.example"
DEMO_REQUESTS = (
    "We lose leads between forms and sales. Can you show us how you prevent that?",
    "Please show us fair rotation for a team of twelve.",
    "We need SLA clocks on business hours in three time zones.",
)


Story = Callable[[Visitor], Coroutine[None, None, None]]


class Visitors:
    """Creates live visitors one after another and remembers those who may come back."""

    def __init__(self, site: Site, rng: random.Random, first_number: int) -> None:
        self._site = site
        self._rng = rng
        self._number = max(first_number, VISITORS)
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def next_number(self) -> int:
        return self._number

    async def run(self) -> None:
        """Let visitors arrive for ever."""
        async for number in self._arrivals():
            visitor = make_visitor(self._rng, number)
            if number % 10 == 9:
                visitor = dataclasses.replace(visitor, company="Cobalt Software", domain=CUSTOMER_DOMAIN)
            story = self._story(number)
            task = asyncio.create_task(story(visitor))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _arrivals(self) -> AsyncIterator[int]:
        while True:
            yield self._number
            self._number += 1
            await asyncio.sleep(self._rng.uniform(*ARRIVAL_SECONDS))

    def _story(self, number: int) -> Story:
        turn = number % 10
        if turn == 7:
            return self._two_addresses
        if turn in {1, 4}:
            return self._only_browses
        return self._asks_for_a_demo

    async def _only_browses(self, visitor: Visitor) -> None:
        for _ in range(self._rng.randint(2, 5)):
            await self._site.track([page_view(visitor, datetime.now(UTC), self._rng)])
            await asyncio.sleep(self._rng.uniform(*READING_SECONDS))

    async def _asks_for_a_demo(self, visitor: Visitor) -> None:
        await self._only_browses(visitor)
        await self._site.track([page(visitor, datetime.now(UTC), "/pricing", "Pricing", self._rng)])
        await self._site.submit(visitor.form(self._rng.choice(DEMO_REQUESTS)))
        await self._ask(visitor)
        await asyncio.sleep(self._rng.uniform(*RETURN_SECONDS))
        await self._comes_back(visitor)

    async def _ask(self, visitor: Visitor) -> None:
        await self._site.track([track(visitor, datetime.now(UTC), "Demo Requested", self._rng)])

    async def _comes_back(self, visitor: Visitor) -> None:
        """New evidence: what a recycled lead needs before it is handed over again."""
        now = datetime.now(UTC)
        await self._site.track([page(visitor, now, "/pricing", "Pricing", self._rng)])
        await self._ask(visitor)

    async def _two_addresses(self, visitor: Visitor) -> None:
        """One person under two addresses, found out later by one login: two leads become one."""
        private = dataclasses.replace(visitor, anonymous_id=visitor.anonymous_id + "-phone")
        private_form = private.form("From my phone.") | {"email": f"{visitor.anonymous_id}@mail.example"}
        await self._asks_once(visitor)
        await asyncio.sleep(self._rng.uniform(*READING_SECONDS))
        await self._site.submit(private_form)
        await asyncio.sleep(8.0)
        user = f"user-{visitor.anonymous_id}"
        messages = [
            identify(each, datetime.now(UTC), self._rng) | {"userId": user} for each in (visitor, private)
        ]
        messages[1]["traits"]["email"] = private_form["email"]
        await self._site.track(messages)

    async def _asks_once(self, visitor: Visitor) -> None:
        await self._only_browses(visitor)
        await self._site.submit(visitor.form(self._rng.choice(DEMO_REQUESTS)))
        await self._ask(visitor)
