"""`leadline work`: worker, relay and timer of all services in one process."""

import asyncio

from leadline.wiring import wire_all
from shared.process import run_roles


async def work(stop: asyncio.Event) -> None:
    """Run every role of every service until `stop`."""
    async with wire_all() as services:
        runners = [
            (f"{name}.{role}", runner)
            for name, service in services.items()
            for role, runner in service.roles.items()
        ]
        await run_roles(runners, stop)
