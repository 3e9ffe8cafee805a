"""The engine of one transaction: active model, epoch, time, as the use cases take it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.scoring.adapters.features import derive_features
from services.scoring.adapters.postgres_models import PostgresModels
from services.scoring.usecases.ports import Engine
from services.scoring.usecases.publish_model import PublishedModel, read_model
from shared.clock import Clock
from shared.db.database import Database, Transaction

# A plan kept from the days of small tables reads large ones whole: each batch is planned for what is there.
_OPEN = """
SELECT platform.current_epoch() AS epoch, statement_timestamp() AS at,
    set_config('plan_cache_mode', 'force_custom_plan', true)
"""


@dataclass(frozen=True, slots=True)
class Engines:
    """Opens an engine for a transaction."""

    models: PostgresModels
    clock: Clock
    hub_limit: int

    async def open(self, tx: Transaction) -> Engine:
        """Return the engine; its time is never before the database's, whose timers it answers."""
        version, compiled = await self.models.active(tx.connection)
        row = await tx.connection.fetchrow(_OPEN)
        assert row is not None
        now = max(self.clock.now(), row["at"])
        return Engine(version, compiled, derive_features, row["epoch"], now, self.hub_limit)


@dataclass(frozen=True, slots=True)
class PostgresModelShelf:
    """`usecases.queries.ModelShelf`."""

    database: Database
    models: PostgresModels
    clock: Clock

    async def listed(self) -> list[PublishedModel]:
        async with self.database.connection() as connection:
            return await self.models.listed(connection)

    async def publish(self, document: str, *, actor: str) -> Mapping[str, Any]:
        model = read_model(document, file="model.yaml")
        async with self.database.transaction() as tx:
            version = await self.models.publish(tx.connection, document, actor=actor, now=self.clock.now())
            behind = await tx.connection.fetchval(
                "SELECT count(*) FROM scoring.lead WHERE model_version < $1", version
            )
        return {"version": version, "model_version": model.version, "leads_to_rescore": behind}

    async def install_default(self, document: str) -> None:
        """Publish `document` where nothing has been published yet."""
        async with self.database.transaction() as tx:
            await tx.connection.execute("LOCK TABLE scoring.model IN SHARE ROW EXCLUSIVE MODE")
            if await tx.connection.fetchval("SELECT count(*) FROM scoring.model") == 0:
                await self.models.publish(tx.connection, document, actor="leadline", now=self.clock.now())
