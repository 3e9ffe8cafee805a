"""`leadline work`: worker, relay and timer of all services in one process."""

import asyncio
from contextlib import AsyncExitStack

from leadline.wiring import wire_all
from shared.patience import enter_when_there
from shared.process import run_roles


async def work(stop: asyncio.Event) -> None:
    """Run every role of every service until `stop`; wait for the database where it is away at the start."""
    async with AsyncExitStack() as stack:
        services = await enter_when_there(stack, wire_all, stop)
        if services is None:
            return
        runners = [
            (f"{name}.{role}", runner)
            for name, service in services.items()
            for role, runner in service.roles.items()
        ]
        await run_roles(runners, stop)
