"""The oldest PostgreSQL we promise to run on takes the whole schema, where its server is installed."""

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.bus.port import Outgoing
from shared.bus.postgres import open_postgres_bus
from shared.contracts.topics import ACTIVITY
from shared.db import migrate
from shared.db.pool import OLDEST_MAJOR

BINARIES = Path(f"/usr/lib/postgresql/{OLDEST_MAJOR}/bin")  # where Debian and Ubuntu put it


@pytest.fixture
def oldest_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if not (BINARIES / "initdb").exists():
        pytest.skip(f"no server of PostgreSQL {OLDEST_MAJOR} in {BINARIES}")
    folder = Path(f"/tmp/leadline-oldest-{os.getpid()}")  # a socket's path must be short
    folder.mkdir(mode=0o700)
    # The server refuses to run as root.
    user = pwd.getpwnam("nobody").pw_name if os.geteuid() == 0 else None
    if user:
        shutil.chown(folder, user)
    options = f"-k {folder} -c listen_addresses= -c max_connections=30"
    try:
        data = str(folder / "data")
        _run(["initdb", "-A", "trust", "-U", "postgres", "-E", "utf8", "-D", data], user, folder)
        _run(["pg_ctl", "-D", data, "-o", options, "-l", str(folder / "log"), "-w", "start"], user, folder)
        yield f"postgresql://postgres@/postgres?host={folder}"
        _run(["pg_ctl", "-D", data, "-m", "immediate", "-w", "stop"], user, folder)
    finally:
        shutil.rmtree(folder)


def _run(command: list[str], user: str | None, folder: Path) -> None:
    command[0] = str(BINARIES / command[0])
    with (folder.parent / f"{folder.name}.out").open("wb") as out:
        subprocess.run(command, check=True, user=user, cwd=folder, stdout=out, stderr=out)
    Path(out.name).unlink()


async def test_the_oldest_postgres_takes_every_revision_and_carries_the_bus(oldest_url: str) -> None:
    migrate.upgrade(oldest_url)
    assert migrate.pending(oldest_url) == []
    async with open_postgres_bus(oldest_url, service="ingest") as bus:
        await bus.append([Outgoing(ACTIVITY.name, "k", (), b"{}")])
        subscription = await bus.subscribe("leadline-scoring", [ACTIVITY.name], "m1")
        await subscription.poll({}, max_records=1, timeout_seconds=0)
        fetched = await subscription.poll(
            dict.fromkeys(subscription.assigned, 0), max_records=10, timeout_seconds=5
        )
        assert [record.value for part in fetched for record in part.records] == [b"{}"]
    migrate.downgrade(oldest_url, "base")
