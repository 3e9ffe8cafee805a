"""Leads given to people with their decision record: `python -m benchmarks.assignments --people 10000`.

Routing's use case on snapshots of new, qualified leads, in transactions of the worker's size.
"""

import argparse
import asyncio
import cProfile
import pstats
import random
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack, nullcontext
from dataclasses import dataclass, field
from math import ceil

from benchmarks.figures import Figure, Series
from benchmarks.machine import backend_cpu_seconds, owner, postgres
from benchmarks.routing_ground import Ground, policy_of_teams, qualified_lead, routing_on
from services.routing.bootstrap import CONSUMING
from services.routing.usecases.receive_snapshots import receive_snapshots

FEW = 10
MANY = 10_000
TEAM = 50
PER_SECOND = 1_000
GOAL = 1.5
LEADS = 2_000

# What was given before counts as of another day and is off the desks: every round begins alike.
EMPTY_DESKS = """
UPDATE routing.handoff
SET closed_at = assigned_at, outcome = 'lost', assigned_at = assigned_at - interval '3 days'
WHERE closed_at IS NULL AND lead_id LIKE 'ld%'
"""
# What people work on meanwhile: so many leads each, given to them some days ago.
HELD = 10
FILL_DESKS = """
INSERT INTO routing.handoff
SELECT made.* FROM routing.handoff AS model, generate_series(1, $1::int) AS n,
    jsonb_populate_record(model, jsonb_build_object('handoff_id', 'held' || n, 'lead_id', 'held' || n,
        'person_id', 'p' || n % $2::int, 'closed_at', NULL, 'outcome', NULL)) AS made
WHERE model.handoff_id = (SELECT min(handoff_id) FROM routing.handoff)
"""


@dataclass(slots=True)
class Side:
    """One size: what was measured, in assignments per second and in CPU milliseconds for each."""

    people: int
    teams: int
    ground: Ground
    url: str
    given: int = 0
    per_second: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    async def round(self, leads: int) -> None:
        """Hand over that many new leads; the teams' turns come in no order."""
        draw = random.Random(self.given)
        snapshots = [
            qualified_lead(self.given + number, f"t{draw.randrange(self.teams)}") for number in range(leads)
        ]
        self.given += leads
        before = await backend_cpu_seconds(self.ground.database)
        began, cpu = time.perf_counter(), time.process_time()
        for start in range(0, leads, CONSUMING.max_records):
            async with self.ground.database.transaction() as tx:
                await receive_snapshots(
                    self.ground.store_of(tx, None), snapshots[start : start + CONSUMING.max_records]
                )
        self.per_second.append(leads / (time.perf_counter() - began))
        used = time.process_time() - cpu + await backend_cpu_seconds(self.ground.database) - before
        self.cpu.append(used / leads * 1000)
        await self._check_and_clear(leads)

    async def fill_desks(self) -> None:
        """Give everybody work from before, so that loads are counted as in life."""
        async with owner(self.url) as connection:
            await connection.execute(FILL_DESKS, self.people * HELD, self.people)
            await connection.execute("VACUUM (ANALYZE)")

    async def _check_and_clear(self, leads: int) -> None:
        async with self.ground.database.connection() as connection:
            given = await connection.fetchval(
                "SELECT count(*) FROM routing.handoff WHERE closed_at IS NULL AND lead_id LIKE 'ld%'"
            )
            assert given == leads, f"{given} of {leads} leads were handed over"
        async with owner(self.url) as connection:
            await connection.execute(EMPTY_DESKS)
            # What autovacuum would do in time must not fall into a measurement.
            await connection.execute("VACUUM (ANALYZE)")


async def _measure(
    urls: Sequence[str], sizes: Sequence[int], rounds: int, profile: cProfile.Profile | None
) -> list[Side]:
    async with AsyncExitStack() as stack:
        sides = []
        for url, people in zip(urls, sizes, strict=True):
            teams = ceil(people / TEAM)
            ground = await stack.enter_async_context(routing_on(url, policy_of_teams(people, teams)))
            sides.append(Side(people, teams, ground, url))
            await sides[-1].round(LEADS // 4)  # prepares statements, gives the teams their rotations
            await sides[-1].fill_desks()
            sides[-1].per_second.clear()
            sides[-1].cpu.clear()
        for _ in range(rounds):
            for side in sides:
                with profile if profile and side is sides[-1] else nullcontext():
                    await side.round(LEADS)
    return sides


def assignments(rounds: int, many: int = MANY, profile: cProfile.Profile | None = None) -> list[Figure]:
    """Compare many people with FEW: assignments per second, and the CPU time of each."""
    with postgres("few", "many") as urls:
        few, large = asyncio.run(_measure(urls, (FEW, many), rounds, profile))
    few_rate, rate = Series.of(few.per_second), Series.of(large.per_second)
    few_cpu, cpu = Series.of(few.cpu), Series.of(large.cpu)
    slower, dearer = few_rate.over(rate), cpu.over(few_cpu)
    work = f"leads handed over with their decision record, {many:,} people in teams of {TEAM}"
    return [
        Figure(
            "assignments", work, f"{rate.text(',.0f')} /s", f"{FEW} people: {few_rate.text(',.0f')} /s",
            slower.text(), f"{PER_SECOND:,} /s, at most {GOAL} times the time",
            rate.median >= PER_SECOND and slower.median <= GOAL,
        ),
        Figure(
            "assignments", "the same in CPU time, database included", f"{cpu.text()} ms",
            f"{FEW} people: {few_cpu.text()} ms", dearer.text(), f"at most {GOAL} times",
            dearer.median <= GOAL,
        ),
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=MANY, help=f"beside {FEW}")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--profile", action="store_true", help="show where Python's time goes with many people"
    )
    options = parser.parse_args()
    profile = cProfile.Profile() if options.profile else None
    for figure in assignments(options.rounds, options.people, profile):
        print(figure.row())
    if profile:
        pstats.Stats(profile).sort_stats("tottime").print_stats(40)


if __name__ == "__main__":
    main()
