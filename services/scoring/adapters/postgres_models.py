"""Published model versions in Postgres, compiled once per process."""

from dataclasses import dataclass, field
from datetime import datetime

from services.scoring.domain.compile import CompiledModel, compile_model
from services.scoring.usecases.publish_model import PublishedModel, read_model
from shared.db.database import Connection

_FIELDS = "version, document, published_at, actor"


@dataclass(slots=True)
class PostgresModels:
    """The versions of one installation; a version never changes, so what has been compiled is kept."""

    _compiled: dict[int, CompiledModel] = field(default_factory=dict)

    async def active(self, connection: Connection) -> tuple[int, CompiledModel]:
        """Return the newest version, compiled; LookupError where none has been published."""
        version = await connection.fetchval("SELECT max(version) FROM scoring.model")
        if version is None:
            raise LookupError("no scoring model has been published")
        return version, await self.compiled(connection, version)

    async def compiled(self, connection: Connection, version: int) -> CompiledModel:
        """Return one version, compiled."""
        if version not in self._compiled:
            document = await connection.fetchval(
                "SELECT document FROM scoring.model WHERE version = $1", version
            )
            self._compiled[version] = compile_model(read_model(document, file=f"model version {version}"))
        return self._compiled[version]

    async def publish(self, connection: Connection, document: str, *, actor: str, now: datetime) -> int:
        """Store a new version and return its number; the same document again is the version it has."""
        await connection.execute("LOCK TABLE scoring.model IN SHARE ROW EXCLUSIVE MODE")
        newest = await connection.fetchrow("SELECT * FROM scoring.model ORDER BY version DESC LIMIT 1")
        if newest is not None and newest["document"] == document:
            return int(newest["version"])
        version = int(newest["version"]) + 1 if newest is not None else 1
        await connection.execute(
            f"INSERT INTO scoring.model ({_FIELDS}) VALUES ($1, $2, $3, $4)", version, document, now, actor
        )
        return version

    async def listed(self, connection: Connection) -> list[PublishedModel]:
        """Return all versions, newest first."""
        rows = await connection.fetch(f"SELECT {_FIELDS} FROM scoring.model ORDER BY version DESC")
        return [PublishedModel(r["version"], r["document"], r["published_at"], r["actor"]) for r in rows]
