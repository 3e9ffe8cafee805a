"""A score is a function of the set of activities, links, hub marks and cuts: proven against a slow oracle.

The tables are fed shuffled, duplicated, re-batched, late, re-linked, merged, unmerged and cut; the oracle
recomputes every lead from the raw list.
"""

import math
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import zip_longest
from typing import Any
from uuid import UUID

import pytest_asyncio
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from services.scoring.adapters.features import derive_features
from services.scoring.adapters.keys import identity_of
from services.scoring.adapters.stores import postgres_stores
from services.scoring.domain.activity import Activity
from services.scoring.domain.compile import CompiledModel, compile_model
from services.scoring.domain.features import canonical_traits
from services.scoring.domain.identity import Identity, Link
from services.scoring.domain.model import Model
from services.scoring.domain.score import Score
from services.scoring.usecases.errors import Refused
from services.scoring.usecases.merge_leads import merge_leads
from services.scoring.usecases.ports import Entry
from services.scoring.usecases.unmerge_lead import unmerge_lead
from shared.contracts.handoffs import CycleOpened
from shared.db.database import Database
from shared.db.pool import create_pool
from tests.support.scoring_oracle import OracleLead, Timeline, by_identity, recompute
from tests.support.scoring_strategies import DAYS, T0, any_instant, identities, models, timelines
from tests.support.scoring_world import World

AFTER_ALL = T0 + timedelta(days=DAYS + 10)


@dataclass(frozen=True)
class Cut:
    """Routing opens a cycle of the lead that holds `identity` at that moment."""

    identity: Identity
    cycle: int
    at: datetime


@dataclass(frozen=True)
class Unmerge:
    """Somebody takes `identity` out of its lead."""

    identity: Identity


@dataclass(frozen=True)
class Merge:
    """Somebody says that two identities are one person."""

    one: Identity
    other: Identity


Step = list[Activity] | Cut | Unmerge | Merge

commands: st.SearchStrategy[Step] = st.one_of(
    st.builds(Cut, identities, st.integers(2, 4), any_instant),
    st.builds(Unmerge, identities),
    st.builds(Merge, identities, identities),
)


def as_kept(value: Any) -> Any:
    """Return JSON as `jsonb` gives it back: what is no number is null, a number its exact decimal digits."""
    if isinstance(value, dict):
        return {name: as_kept(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [as_kept(inner) for inner in value]
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        digits = Decimal(repr(value))
        return int(digits) if "." not in f"{digits:f}" else value
    return value


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[Activity], list[Step]]:
    """Return activities, and steps that deliver each of them at least once, in any order and batches."""
    activities = [replace(found, traits=as_kept(dict(found.traits))) for found in draw(timelines())]
    arrivals = draw(st.permutations(activities + draw(st.lists(st.sampled_from(activities), max_size=5))))
    steps: list[Step] = []
    while arrivals:
        size = draw(st.integers(1, 8))
        steps.append(arrivals[:size])
        arrivals = arrivals[size:]
        if draw(st.integers(0, 3)) == 0:
            steps.append(draw(commands))
    return activities, steps


@pytest_asyncio.fixture(scope="module")
async def database(module_database_url: str) -> AsyncIterator[Database]:
    pool = await create_pool(module_database_url, service="scoring", min_size=0, max_size=4)
    yield Database(pool, "scoring")
    await pool.close()


def entry(activity: Activity, compiled: CompiledModel) -> Entry:
    """Return an activity as the reader of messages hands it on."""
    traits = canonical_traits(activity.traits)
    traits.pop("email", None)
    known = replace(activity, event_id=str(UUID(activity.event_id)), traits=traits)
    return Entry(known, compiled.signals(known), {}, "crawler" if activity.bot else None)


async def perform(world: World, step: Step) -> None:
    """Carry out one step; a command that is refused changes nothing."""
    if isinstance(step, list):
        await world.store([entry(activity, world.compiled) for activity in step])
        return
    leads = {who: lead_id for members, lead_id in (await world.leads()).items() for who in members}
    if isinstance(step, Cut):
        if step.identity in leads:
            opened = CycleOpened(leads[step.identity], step.cycle, step.at, AFTER_ALL, "recycled")
            await world.open_cycle(opened)
        return
    try:
        async with world.database.transaction() as tx:
            stores, engine = postgres_stores(tx), world.engine()
            if isinstance(step, Unmerge):
                if step.identity in leads:
                    await unmerge_lead(leads[step.identity], {step.identity}, stores, engine, actor="test")
            elif step.one in leads and step.other in leads:
                await merge_leads(leads[step.one], leads[step.other], stores, engine)
    except Refused:
        return


async def stored(world: World, activities: list[Activity]) -> Timeline:
    """Return what the oracle starts from: the raw activities, and the edges, marks and cuts in the tables."""
    links = [
        Link(identity_of(r["a"]), identity_of(r["b"]), r["occurred_at"], str(r["event_id"]), r["linked_at"])
        for r in await world.fetch("SELECT * FROM scoring.link")
    ]
    never = await world.fetch("SELECT a, b FROM scoring.never_link")
    cuts = await world.fetch("SELECT * FROM scoring.cut")
    return Timeline(
        activities=[replace(a, event_id=str(UUID(a.event_id))) for a in activities],
        model=world.compiled.model,
        featurer=derive_features,
        links=links,
        never_links=[(identity_of(r["a"]), identity_of(r["b"])) for r in never],
        cuts=by_identity((identity_of(r["identity"]), r["cycle"], r["cut"]) for r in cuts),
    )


COMPARED = ("fit", "engagement", "grade", "enters", "holds", "hand_raise", "needs_data")


def differences(score: Score, lead: OracleLead) -> list[Any]:
    """Return what differs between a score from the tables and the oracle's."""
    found: list[Any] = [
        (name, getattr(score, name), getattr(lead, name))
        for name in COMPARED
        if getattr(score, name) != getattr(lead, name)
    ]
    pairs = zip_longest(score.lines, lead.lines)
    return found + [(one, other) for one, other in pairs if one != other]


@settings(
    max_examples=40,
    deadline=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
@given(model=models(), history=histories(), as_of=any_instant)
async def test_tables_fed_in_any_way_agree_with_a_recomputation_from_the_raw_activities(
    database: Database, model: Model, history: tuple[list[Activity], list[Step]], as_of: datetime
) -> None:
    activities, steps = history
    world = World(database, now=AFTER_ALL, compiled=compile_model(model))
    await world.clear()
    for step in steps:
        await perform(world, step)
    timeline = await stored(world, activities)
    if not any(isinstance(step, Merge) for step in steps):
        # Without links made by hand the edges too are a function of the activities alone.
        timeline = replace(timeline, links=None)

    expected = recompute(timeline, AFTER_ALL)
    cached = await world.scores()
    for core, lead in expected.items():
        assert differences(cached[core], lead) == []
    assert all(
        not cached[core].lines or _only_unknown(cached[core]) for core in cached.keys() - expected.keys()
    )

    earlier = recompute(timeline, as_of)
    leads = await world.leads()
    for core, lead in earlier.items():
        found = await world.reads().score(leads[core], as_of)
        assert found is not None
        assert differences(found.score, lead) == []
        assert (found.cycle, found.cut) == (lead.cycle, lead.cut)


def _only_unknown(score: Any) -> bool:
    """Tell whether nothing was counted: an identity of a body that lost is a lead without activity."""
    return all(line.dimension == "fit" for line in score.lines)
