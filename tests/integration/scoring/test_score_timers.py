"""Scores that change by time alone: the timer role finds them by index and tells routing."""

from datetime import timedelta

import asyncpg

from services.scoring.adapters.stores import postgres_stores
from services.scoring.entrypoints.timers import DUE, ScoreTimers
from services.scoring.usecases.ports import Engine
from shared.db.database import Transaction
from tests.support.postgres import OpenService
from tests.support.scoring_world import T0, World, activity


def timers(world: World) -> ScoreTimers:
    """Return the timer role on the world's clock; the database's is later, so every timer is due."""

    async def open_engine(_: Transaction) -> Engine:
        return world.engine()

    return ScoreTimers(world.database, open_engine, postgres_stores, poll_seconds=1)


async def test_a_lead_leaves_the_level_when_its_hand_raise_has_aged(service_database: OpenService) -> None:
    world = World(await service_database("scoring"))
    await world.record(activity(1, 1, email="ada@acme.example", kind="form", name="demo"))
    assert (await world.snapshots())[-1].enters
    turns = 0
    while (await world.snapshots())[-1].enters:
        (timer,) = await world.fetch("SELECT due_at FROM scoring.decay_timer")
        assert timer["due_at"] > world.now
        world.now = timer["due_at"]
        assert await timers(world).turn() == 1
        turns += 1
        assert turns < 50
    told = (await world.snapshots())[-1]
    assert told.as_of == T0.replace(hour=0) + timedelta(days=31)
    assert not told.holds


async def test_due_timers_are_found_by_index_however_many_wait(
    database_url: str, service_database: OpenService
) -> None:
    world = World(await service_database("scoring"))
    owner = await asyncpg.connect(database_url)
    await owner.execute(
        "INSERT INTO scoring.decay_timer SELECT 'ld_' || n, statement_timestamp() + n * interval '1 minute'"
        " FROM generate_series(1, 20000) AS n"
    )
    await owner.execute("ANALYZE scoring.decay_timer")
    await owner.close()
    plan = "\n".join(row[0] for row in await world.fetch("EXPLAIN " + DUE.replace("$1", "100")))
    assert "Index Cond: (due_at <= statement_timestamp())" in plan
    assert "Seq Scan" not in plan


async def test_a_new_epoch_publishes_every_current_snapshot_once_more(
    database_url: str, service_database: OpenService
) -> None:
    world = World(await service_database("scoring"))
    await world.record(activity(1, 1, email="ada@acme.example"), activity(2, 2, email="bob@acme.example"))
    owner = await asyncpg.connect(database_url)
    world.epoch = await owner.fetchval("SELECT platform.raise_epoch()")
    await owner.close()
    role = timers(world)
    while await role.turn():
        continue
    told = await world.snapshots()
    assert sorted((s.person.email, s.epoch) for s in told) == [
        ("ada@acme.example", 1), ("ada@acme.example", 2), ("bob@acme.example", 1), ("bob@acme.example", 2),
    ]  # fmt: skip


async def test_one_lead_that_cannot_be_scored_does_not_hold_up_the_others(
    service_database: OpenService,
) -> None:
    world = World(await service_database("scoring"))
    form = {"kind": "form", "name": "demo"}
    await world.record(
        activity(1, 1, email="ada@acme.example", traits={"title": "Director"}, **form),
        activity(2, 2, email="bob@acme.example", **form),
    )
    bad, good = [await world.lead_of("email", f"{name}@acme.example") for name in ("ada", "bob")]
    await world.fetch("UPDATE scoring.snapshot SET told = '{}' WHERE lead_id = $1", bad)
    dues = {r["lead_id"]: r["due_at"] for r in await world.fetch("SELECT * FROM scoring.decay_timer")}
    world.now = max(dues.values())
    role = timers(world)
    assert await role.turn() == 1
    later = {r["lead_id"]: r["due_at"] for r in await world.fetch("SELECT * FROM scoring.decay_timer")}
    assert later[good] > world.now
    # The faulty one is put off by the database's clock, which is far ahead of this test's.
    assert later[bad] > later[good]
