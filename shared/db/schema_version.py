"""Whether a database is at the newest revision, told without loading the migration tool."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg

import shared

VERSION_SCHEMA = "platform"
SCRIPTS = Path(shared.__file__).parent.parent / "migrations"

_REVISION = re.compile(r'^(revision|down_revision) = "(\w+)"$', re.MULTILINE)

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]
else:  # generic for the type checker only
    Connection = asyncpg.Connection


def newest_revision() -> str:
    """Return the revision that no other one follows."""
    revisions: set[str] = set()
    followed: set[str] = set()
    for script in (SCRIPTS / "versions").glob("*.py"):
        for kind, name in _REVISION.findall(script.read_text(encoding="utf-8")):
            (revisions if kind == "revision" else followed).add(name)
    (newest,) = revisions - followed
    return newest


async def is_up_to_date(connection: Connection) -> bool:
    """Return whether the database is at the newest revision; False where it has never been migrated."""
    try:
        stored = await connection.fetch(f"SELECT version_num FROM {VERSION_SCHEMA}.alembic_version")
    except asyncpg.UndefinedTableError:
        return False
    return [row["version_num"] for row in stored] == [newest_revision()]
