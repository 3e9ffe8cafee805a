"""The history of the schema: each revision goes up, down and up again, and makes what the code declares."""

import importlib
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, MetaData
from sqlalchemy import text as sql_text

from shared.contracts.topics import SERVICES
from shared.db import migrate

ROOT = Path(__file__).resolve().parents[3]
REVISIONS = sorted(path.name[:4] for path in (ROOT / "migrations" / "versions").glob("0*.py"))


async def objects(url: str) -> list[tuple[str, str]]:
    """Everything in our schemas but Alembic's own table: relations, functions, and their grants."""
    connection = await asyncpg.connect(url)
    try:
        rows = await connection.fetch(
            """
            SELECT n.nspname || '.' || c.relname || ' ' || c.relkind::text AS name, c.relacl::text AS grants
            FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE n.nspname IN ('platform', 'bus', 'ingest', 'scoring', 'routing')
              AND c.relname NOT LIKE 'alembic_version%'
            UNION ALL
            SELECT n.nspname || '.' || p.oid::regprocedure::text, p.proacl::text
            FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
            WHERE n.nspname IN ('platform', 'bus', 'ingest', 'scoring', 'routing')
            ORDER BY 1
            """
        )
    finally:
        await connection.close()
    return [(row["name"], row["grants"] or "") for row in rows]


async def test_every_revision_goes_up_down_and_up_again(empty_database_url: str) -> None:
    url = empty_database_url
    assert migrate.current(url) is None
    assert migrate.pending(url) == REVISIONS
    before: list[tuple[str, str]] = []
    for revision in REVISIONS:
        migrate.upgrade(url, revision)
        after = await objects(url)
        assert after != before, f"{revision} changes nothing"
        migrate.downgrade(url, "-1")
        assert await objects(url) == before, f"{revision} leaves something behind"
        migrate.upgrade(url, revision)
        assert await objects(url) == after, f"{revision} is not the same the second time"
        before = after
    assert migrate.current(url) == REVISIONS[-1]
    assert migrate.pending(url) == []


async def test_all_the_way_down_and_up_again(empty_database_url: str) -> None:
    migrate.upgrade(empty_database_url)
    full = await objects(empty_database_url)
    migrate.downgrade(empty_database_url, "base")
    assert await objects(empty_database_url) == []
    migrate.upgrade(empty_database_url)
    assert await objects(empty_database_url) == full


def test_upgrading_twice_changes_nothing(database_url: str) -> None:
    assert migrate.upgrade(database_url) is False
    assert migrate.pending(database_url) == []


def declared_tables() -> dict[str, MetaData]:
    """The MetaData that each service's `adapters/tables.py` declares."""
    found: dict[str, MetaData] = {}
    for service in SERVICES:
        module = importlib.import_module(f"services.{service}.adapters.tables")
        (found[service],) = {id(v): v for v in vars(module).values() if isinstance(v, MetaData)}.values()
    return found


@pytest.mark.parametrize("service", SERVICES)
def test_models_match_migrations(database_url: str, service: str) -> None:
    metadata = declared_tables()[service]
    assert metadata.tables, f"{service} declares no tables"

    def compare(connection: Connection) -> list[Any]:
        def ours(name: str | None, kind: str, _parents: Any) -> bool:
            return name == service if kind == "schema" else True

        def declared_here(_item: Any, name: str | None, kind: str, reflected: bool, _other: Any) -> bool:
            # Partitions are made while running; their parents are what is declared.
            return not (kind == "table" and reflected and name in partitions)

        rows = connection.execute(sql_text("SELECT relname FROM pg_class WHERE relispartition"))
        partitions = {row[0] for row in rows}
        options = {
            "include_schemas": True,
            "include_name": ours,
            "include_object": declared_here,
            "compare_type": True,
            "compare_server_default": True,
        }
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))

    assert migrate.with_connection(database_url, compare) == []


async def test_each_revision_touches_one_schema(empty_database_url: str) -> None:
    seen: set[str] = set()
    for revision in REVISIONS:
        migrate.upgrade(empty_database_url, revision)
        schemas = {name.partition(".")[0] for name, _ in await objects(empty_database_url)}
        assert len(schemas - seen) == 1, f"{revision} makes objects in {schemas - seen}"
        seen |= schemas


def test_the_template_of_a_revision_sets_its_time_outs() -> None:
    template = (ROOT / "migrations" / "script.py.mako").read_text()
    assert template.count("SET LOCAL lock_timeout") == 2
    assert template.count("SET LOCAL statement_timeout") == 2
