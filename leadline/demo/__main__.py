"""`leadline up --demo` runs this beside Leadline: history once, then visitors, reps and a CRM over HTTP."""

import asyncio
import contextlib
import json
import os
import random
import sys
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

import httpx2

from leadline.demo.crm import Crm
from leadline.demo.desk import HABITS, Desk
from leadline.demo.history import VISITORS, history
from leadline.demo.site import Site
from leadline.demo.visitors import Visitors
from leadline.runtime_file import read_private, write_private
from shared.observability.logging import configure_logging
from shared.process import run_process

SEED = 20
SAVE_SECONDS = 2.0
READY_POLL_SECONDS = 0.2


async def main(stop: asyncio.Event) -> None:
    """Run the demonstration until `stop`; started again, it goes on with new visitors."""
    memory = Path(os.environ["LEADLINE_DATA_DIR"]) / "demo.json"
    state: dict[str, Any] = dict(read_private(memory) or {})
    headers = {"Authorization": f"Bearer {os.environ['LEADLINE_API_KEY']}"}
    url = os.environ["LEADLINE_URL"]
    async with httpx2.AsyncClient(base_url=url, headers=headers, timeout=15.0, trust_env=False) as client:
        site = Site(client)
        if not await _is_ready(client, stop):
            return
        if not state.get("history"):
            await _prepare(client, site)
            state["history"] = True
            write_private(memory, state)
        # A new stream of chance at every start: the same visitors must not come twice.
        rng = random.Random(f"{SEED}:{state.get('visitors', VISITORS)}")
        visitors = Visitors(site, rng, state.get("visitors", VISITORS))
        crm = Crm(client, rng, state.get("cursor"))
        desks = [Desk(client, person, rng) for person in HABITS]

        parts = [
            visitors.run(),
            crm.run(),
            _remember(memory, state, visitors, crm),
            *(d.run() for d in desks),
        ]
        tasks = [asyncio.create_task(part) for part in parts]
        ended = asyncio.create_task(stop.wait())
        done, running = await asyncio.wait([ended, *tasks], return_when=asyncio.FIRST_COMPLETED)
        for task in running:
            task.cancel()
        for task in done:
            task.result()


async def _is_ready(client: httpx2.AsyncClient, stop: asyncio.Event) -> bool:
    """Wait until Leadline serves: it answers 503 while it starts. Return False where `stop` came first."""
    while not stop.is_set():
        with contextlib.suppress(httpx2.TransportError):
            if (await client.get("/readyz")).is_success:
                return True
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), READY_POLL_SECONDS)
    return False


async def _remember(memory: Path, state: dict[str, Any], visitors: Visitors, crm: Crm) -> None:
    while True:
        await asyncio.sleep(SAVE_SECONDS)
        write_private(memory, state | {"visitors": visitors.next_number, "cursor": crm.cursor})


async def _prepare(client: httpx2.AsyncClient, site: Site) -> None:
    """Publish the demonstration's policy, then post the thirty days before now."""
    policy = files("leadline.demo").joinpath("policy.yaml").read_text(encoding="utf-8")
    answer = await client.put("/v1/policies", content=policy, headers={"Content-Type": "application/yaml"})
    if answer.is_error:
        raise SystemExit(f"the demonstration's policy was refused: {json.dumps(answer.json())}")
    await site.track(list(history(random.Random(SEED), datetime.now(UTC))))


if __name__ == "__main__":
    configure_logging()
    sys.exit(run_process(main))
