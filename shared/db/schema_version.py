"""Where a database stands beside the revisions this release knows, told without loading the migration tool.

A release works on the schema of the next one too: upgrades roll, the schema first, then process by process.
So a revision that it does not know is a newer release's, and nothing is to be done about it.
"""

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
    revisions, followed = _revisions()
    (newest,) = revisions - followed
    return newest


def is_known(revision: str) -> bool:
    """Return whether this release has that revision; one that it has not is a newer release's."""
    return revision in _revisions()[0]


async def has_pending(connection: Connection) -> bool:
    """Return whether the database is behind the newest revision, or has never been migrated."""
    try:
        stored = await connection.fetch(f"SELECT version_num FROM {VERSION_SCHEMA}.alembic_version")
    except asyncpg.UndefinedTableError:
        return True
    at = [str(row["version_num"]) for row in stored]
    return at != [newest_revision()] and all(map(is_known, at))


def _revisions() -> tuple[set[str], set[str]]:
    """Return all revisions, and those that another one follows."""
    revisions: set[str] = set()
    followed: set[str] = set()
    for script in (SCRIPTS / "versions").glob("*.py"):
        for kind, name in _REVISION.findall(script.read_text(encoding="utf-8")):
            (revisions if kind == "revision" else followed).add(name)
    return revisions, followed
