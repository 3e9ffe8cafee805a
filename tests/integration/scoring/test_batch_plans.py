"""Plans of the batch statements: made for the tables as they are, in scoring's transactions alone."""

from services.scoring.adapters.engines import Engines
from services.scoring.adapters.postgres_models import PostgresModels
from services.scoring.bootstrap import DEFAULT_MODEL
from tests.support.fake_clock import FakeClock
from tests.support.postgres import OpenService
from tests.support.scoring_world import T0


async def test_no_plan_is_kept_from_when_the_tables_were_small(service_database: OpenService) -> None:
    database, models = await service_database("scoring"), PostgresModels()
    async with database.transaction() as tx:
        document = DEFAULT_MODEL.read_text("utf-8")
        await models.publish(tx.connection, document, actor="test", now=T0)
        await Engines(models, FakeClock(T0), 50).open(tx)
        assert await tx.connection.fetchval("SHOW plan_cache_mode") == "force_custom_plan"
    async with database.connection() as connection:
        assert await connection.fetchval("SHOW plan_cache_mode") == "auto"
