"""The same log through a scoring that nobody disturbs: another order, other batches, another database."""

import random
from collections.abc import Mapping
from datetime import datetime

import asyncpg

from services.scoring.adapters.bots import bot_verdict
from services.scoring.domain.identity import Identity, Link
from services.scoring.domain.score import Score
from services.scoring.usecases.read_activity import read_activity
from services.scoring.usecases.rescore_leads import rescore_leads
from services.scoring.usecases.settle_leads import settle_leads
from shared.db.database import Database
from shared.db.pool import create_pool
from tests.faults.next_release import NEXT_COLUMN
from tests.faults.recorded import Recorded
from tests.support.postgres import fresh_database
from tests.support.scoring_world import World

LARGEST_BATCH = 300
# What a score depends on besides activity and links made by hand: cuts, never-link edges, hub marks.
GIVEN = {
    "identity": "SELECT * FROM scoring.identity",
    "cut": "SELECT * FROM scoring.cut",
    "never_link": "SELECT * FROM scoring.never_link",
}


async def score_undisturbed(
    url: str, recorded: Recorded, as_of: datetime, seed: int
) -> dict[frozenset[Identity], Score]:
    """Return the score of every lead at `as_of`, by its identities."""
    async with fresh_database(url) as fresh:
        await _give(url, fresh)
        pool = await create_pool(fresh, service="scoring", max_size=2)
        try:
            world = World(Database(pool, "scoring"), now=as_of, compiled=recorded.compiled)
            await _record(world, recorded, random.Random(f"undisturbed {seed}"))
            parted = {frozenset(edge) for edge in recorded.never_links}
            for link in recorded.links:
                if frozenset((link.a, link.b)) not in parted:
                    await _link_by_hand(world, link)
            return await _scores(world, as_of)
        finally:
            await pool.close()


async def _give(url: str, fresh: str) -> None:
    source, target = await asyncpg.connect(url), await asyncpg.connect(fresh)
    try:
        for table, query in GIVEN.items():
            rows = await source.fetch(query)
            if rows:
                columns = [column for column, _ in rows[0].items() if column != NEXT_COLUMN]
                records = [tuple(row[column] for column in columns) for row in rows]
                await target.copy_records_to_table(
                    table, records=records, columns=columns, schema_name="scoring"
                )
    finally:
        await source.close()
        await target.close()


async def _record(world: World, recorded: Recorded, rng: random.Random) -> None:
    entries = [read_activity(message, recorded.compiled, bot_verdict) for message in recorded.messages]
    rng.shuffle(entries)
    while entries:
        size = rng.randint(1, LARGEST_BATCH)
        await world.store(entries[:size])
        del entries[:size]


async def _link_by_hand(world: World, link: Link) -> None:
    """Merge as the command does, by the very identities that it chose then."""
    ends, engine = {link.a, link.b}, world.engine()
    async with world.database.transaction() as tx:
        stores = world.stores(tx)
        await stores.identities.lock(ends, engine.now)
        await stores.identities.link_by_hand((link.a, link.b), link.event_id)
        settled = await settle_leads(stores, ends, engine, links_changed=True)
        await rescore_leads(stores, settled.leads, engine)


async def _scores(world: World, as_of: datetime) -> dict[frozenset[Identity], Score]:
    reads, found = world.reads(), dict[frozenset[Identity], Score]()
    leads: Mapping[frozenset[Identity], str] = await world.leads()
    for members, lead_id in leads.items():
        score_at = await reads.score(lead_id, as_of)
        assert score_at is not None, lead_id
        found[members] = score_at.score
    return found
