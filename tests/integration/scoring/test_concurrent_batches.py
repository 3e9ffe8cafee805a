"""Workers that handle overlapping people at the same time neither deadlock nor change the result."""

import asyncio
import random
from collections.abc import Sequence

from services.scoring.adapters.features import derive_features
from services.scoring.domain.activity import Activity
from services.scoring.usecases.ports import ConcurrentChange, Entry
from shared.contracts.activity import ActivityRecorded
from tests.support.postgres import OpenService
from tests.support.scoring_oracle import Timeline, recompute
from tests.support.scoring_world import MODEL, World, activity

WORKERS = 4


async def test_four_workers_on_the_same_people_agree_with_the_oracle(service_database: OpenService) -> None:
    world = World(await service_database("scoring"))
    draw = random.Random(7)
    entries = world.entries([_random_activity(number, draw) for number in range(400)])
    batches = [entries[start : start + 20] for start in range(0, len(entries), 20)]
    # Half of the batches come twice, as after a take-over.
    queue = batches + batches[::2]
    draw.shuffle(queue)

    async def worker(mine: Sequence[list[Entry]]) -> None:
        for batch in mine:
            while True:
                try:
                    await world.store(batch)
                    break
                except ConcurrentChange:
                    continue

    await asyncio.gather(*(worker(queue[number::WORKERS]) for number in range(WORKERS)))
    activities: list[Activity] = [entry.activity for entry in entries]
    expected = recompute(Timeline(activities, MODEL, derive_features), world.now)
    found = await world.scores()
    assert {core: (lead.fit, lead.engagement, lead.lines) for core, lead in expected.items()} == {
        core: (score.fit, score.engagement, score.lines) for core, score in found.items()
    }
    snapshots = await world.snapshots()
    order = [(s.lead_id, s.revision) for s in snapshots]
    assert sorted(order, key=lambda pair: pair[0]) == sorted(order)


def _random_activity(number: int, draw: random.Random) -> ActivityRecorded:
    given: dict[str, object] = {"anonymous_id": f"a{draw.randrange(12)}"}
    if draw.random() < 0.3:
        given["user_id"] = f"u{draw.randrange(10)}"
    if draw.random() < 0.2:
        given["email"] = f"p{draw.randrange(10)}@acme.example"
    kind = draw.choice(["page", "page", "identify", "form"])
    name = "demo" if kind == "form" else "Home"
    return activity(number, draw.randrange(400), kind=kind, name=name, path="/pricing", **given)
