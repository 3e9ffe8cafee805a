"""Versions of the sources file in Postgres."""

from datetime import datetime

from shared.db.database import Database

_ACTIVE = """
SELECT c.version, c.document, a.activated_at
FROM ingest.active_source_config a JOIN ingest.source_config c USING (version)
"""
_KEEP = """
INSERT INTO ingest.source_config (version, document, created_by) VALUES ($1, $2, $3)
ON CONFLICT (version) DO NOTHING
"""
_ACTIVATE = """
INSERT INTO ingest.active_source_config (singleton, version, activated_by) VALUES (true, $1, $2)
ON CONFLICT (singleton) DO UPDATE
SET version = excluded.version, activated_by = excluded.activated_by, activated_at = statement_timestamp()
"""
_ACTIVATE_FIRST = """
INSERT INTO ingest.active_source_config (singleton, version, activated_by) VALUES (true, $1, 'default')
ON CONFLICT (singleton) DO NOTHING
"""


class PostgresSourceConfigs:
    """Keeps every version of the sources file, and which one is active."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def active(self) -> tuple[str, str, datetime] | None:
        async with self._database.connection() as connection:
            row = await connection.fetchrow(_ACTIVE)
        return (row["version"], row["document"], row["activated_at"]) if row else None

    async def activate(self, version: str, document: str, *, actor: str) -> None:
        async with self._database.transaction() as tx:
            await tx.connection.execute(_KEEP, version, document, actor)
            await tx.connection.execute(_ACTIVATE, version, actor)

    async def install_default(self, version: str, document: str) -> None:
        async with self._database.transaction() as tx:
            await tx.connection.execute(_KEEP, version, document, "default")
            await tx.connection.execute(_ACTIVATE_FIRST, version)
