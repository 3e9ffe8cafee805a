"""Due clocks among many open ones: `python -m benchmarks.timers --open 10000000`.

Routing's real timer on real clocks, each with its lead, snapshot and hand-off, of which the due ones breach.
"""

import argparse
import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from statistics import quantiles

from benchmarks.figures import Figure, Series
from benchmarks.machine import owner, postgres
from benchmarks.routing_ground import Ground, policy_of_teams, qualified_lead, routing_on
from services.routing.adapters.due_rows import DueRows
from services.routing.adapters.timer_rows import DUE_CLOCKS, NEXT
from services.routing.entrypoints.timers import CLOCKS_AT_ONCE, Timers
from services.routing.usecases.receive_snapshots import receive_snapshots
from shared.db.database import Connection

FEW = 10_000
MANY = 1_000_000
GOAL = 1.5
POLLS = 400
FIRED = 1_000
# Nothing is due by itself while the rows are made and measured; the rounds take a later instant each.
FIRST_DUE = timedelta(hours=24)
APART = timedelta(milliseconds=10)
# Coprime to every size: neighbours in time lie far apart in the tables, as in life.
SCATTER = 7_919

# Copies of the one lead that the use cases made, each with ids and instants of its own.
COPIES = (
    """
    INSERT INTO routing.lead SELECT made.* FROM routing.lead AS model, generate_series(1, $1::int) AS n,
        jsonb_populate_record(model, jsonb_build_object(
            'lead_id', 'ld_' || n, 'last_handoff_id', 'ho_' || n)) AS made
    """,
    """
    INSERT INTO routing.snapshot
    SELECT made.* FROM routing.snapshot AS model, generate_series(1, $1::int) AS n,
        jsonb_populate_record(model, jsonb_build_object(
            'lead_id', 'ld_' || n, 'body', model.body || jsonb_build_object('lead_id', 'ld_' || n))) AS made
    """,
    """
    INSERT INTO routing.handoff
    SELECT made.* FROM routing.handoff AS model, generate_series(1, $1::int) AS n,
        jsonb_populate_record(model, jsonb_build_object(
            'lead_id', 'ld_' || n, 'handoff_id', 'ho_' || n)) AS made
    """,
    """
    INSERT INTO routing.clock SELECT made.* FROM routing.clock AS model, generate_series(1, $1::int) AS n,
        LATERAL (SELECT $2::timestamptz + (n::bigint * $4 % $1) * $3::interval AS due) AS timing,
        LATERAL (SELECT jsonb_build_object('lead_id', 'ld_' || n, 'handoff_id', 'ho_' || n,
            'started_at', due - interval '30 min') AS own) AS differing,
        jsonb_populate_record(model, own || jsonb_build_object('clock_id', 'ck_' || n, 'due_at', due,
            'wakes_at', due, 'body', model.body || own || jsonb_build_object('id', 'ck_' || n))) AS made
    """,
)


@dataclass(slots=True)
class Side:
    """One size: its timer and what was measured. Polls in ms, fired in clocks per second."""

    clocks: int
    timers: Timers
    due: DueRows
    at: datetime
    p50: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    fired: list[float] = field(default_factory=list)

    async def poll(self) -> None:
        """Look for what is due while nothing is: what the timer does four times a second."""
        took = []
        for _ in range(POLLS):
            began = time.perf_counter()
            assert await self.timers.turn() == 0
            await self.due.until_next()
            took.append((time.perf_counter() - began) * 1000)
        cuts = quantiles(took, n=100)
        self.p50.append(cuts[49])
        self.p99.append(cuts[98])

    async def fire(self) -> None:
        """Let the next FIRED clocks be due at once and turn until all have fired."""
        self.at += FIRED * APART
        began, fired = time.perf_counter(), 0
        while turned := await self.timers.turn(self.at):
            fired += turned
        self.fired.append(fired / (time.perf_counter() - began))
        assert fired == FIRED, f"{fired} clocks fired where {FIRED} were due"


async def _open_clocks(url: str, ground: Ground, clocks: int) -> datetime:
    """Fill the tables with held leads, a clock each; return the instant at which the first is due."""
    async with ground.database.transaction() as tx:
        await receive_snapshots(ground.store_of(tx, None), [qualified_lead(1, "t0")])
    first = datetime.now(UTC) + FIRST_DUE
    async with owner(url) as connection:
        for sql in COPIES:
            arguments = (clocks, first, APART, SCATTER) if "$4" in sql else (clocks,)
            await connection.execute(sql, *arguments)
        # The model itself would be due half an hour from now.
        await connection.execute("DELETE FROM routing.clock WHERE wakes_at < $1", first)
        await connection.execute("VACUUM (ANALYZE)")
    return first


async def _plans_use_the_index(ground: Ground) -> None:
    async with ground.database.connection() as connection:
        due = await _plan(connection, DUE_CLOCKS, None, CLOCKS_AT_ONCE)
        assert "ix_clock_wakes_at" in due, due
        assert "Index Cond" in due, due
        soonest = await _plan(connection, NEXT)
        assert "ix_clock_wakes_at" in soonest, soonest
        assert "Seq Scan on clock" not in soonest, soonest


async def _plan(connection: Connection, sql: str, *arguments: object) -> str:
    return "\n".join(row[0] for row in await connection.fetch(f"EXPLAIN {sql}", *arguments))


async def _side(stack: AsyncExitStack, url: str, clocks: int) -> Side:
    ground = await stack.enter_async_context(routing_on(url, policy_of_teams(1, 1)))
    first = await _open_clocks(url, ground, clocks)
    await _plans_use_the_index(ground)
    due = DueRows(ground.database)
    timers = Timers(ground.database, due, ground.store_of)
    await timers.turn()  # the queues that the new policy has woken
    return Side(clocks, timers, due, first - APART)


async def _measure(urls: Sequence[str], sizes: Sequence[int], rounds: int) -> list[Side]:
    async with AsyncExitStack() as stack:
        sides = [await _side(stack, url, size) for url, size in zip(urls, sizes, strict=True)]
        for _ in range(rounds):
            for side in sides:
                await side.poll()
            for side in sides:
                await side.fire()
    return sides


def timers(rounds: int, many: int = MANY) -> list[Figure]:
    """Compare many open clocks with FEW: the idle poll, and clocks claimed and fired per second."""
    if rounds * FIRED > FEW:
        raise ValueError(f"at most {FEW // FIRED} rounds: each fires {FIRED} of {FEW} clocks")
    with postgres("few", "many") as urls:
        few, large = asyncio.run(_measure(urls, (FEW, many), rounds))
    p50, p99 = Series.of(large.p50), Series.of(large.p99)
    slower = Series.of(few.fired).over(Series.of(large.fired))
    rows = [
        (
            f"idle look for due clocks among {many:,} open, p50",
            p50,
            Series.of(few.p50),
            p50.over(Series.of(few.p50)),
            "ms",
        ),
        (
            f"idle look for due clocks among {many:,} open, p99",
            p99,
            Series.of(few.p99),
            p99.over(Series.of(few.p99)),
            "ms",
        ),
        (
            f"due clocks claimed and fired, {many:,} open",
            Series.of(large.fired),
            Series.of(few.fired),
            slower,
            "/s",
        ),
    ]
    return [
        Figure(
            "timers", work, f"{measured.text(',.3g')} {unit}",
            f"{FEW:,} open: {reference.text(',.3g')} {unit}", ratio.text(),
            f"at most {GOAL} times the time", ratio.median <= GOAL,
        )
        for work, measured, reference, ratio, unit in rows
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--open", type=int, default=MANY, help=f"open clocks, beside {FEW}")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    for figure in timers(options.rounds, options.open):
        print(figure.row())


if __name__ == "__main__":
    main()
