"""Finding the database for commands that work on it directly: by URL, or the one of a data directory."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from leadline.cli.exit_codes import UNREACHABLE, USAGE, CommandFailed
from leadline.runtime_file import read_running

if TYPE_CHECKING:
    from shared.db.embedded import EmbeddedPostgres

SCHEMES = ("postgresql://", "postgres://")


def checked_url(url: str | None) -> str | None:
    """Return `url` if it names a PostgreSQL database; raise CommandFailed where it names something else."""
    if url and not url.startswith(SCHEMES):
        raise CommandFailed(
            f"{url.partition(':')[0]}: this is no address of a PostgreSQL database",
            USAGE,
            "--database postgresql://user:password@host/database",
        )
    return url


@contextmanager
def reach_database(given: str | None, data_dir: Path) -> Iterator[str]:
    """Give the asyncpg URL to use; an embedded server that had to be started for it is stopped again."""
    if url := checked_url(given):
        yield url
        return
    running = read_running(data_dir)
    embedded = (data_dir / "postgres").exists()
    if running is not None and not embedded:
        yield running.database_url
        return
    if not embedded:
        raise CommandFailed(
            f"there is no database in {data_dir} and none was named",
            UNREACHABLE,
            "leadline up, or --data-dir DIR of the one that ran, or --database URL",
        )
    from shared.db.embedded import EmbeddedPostgres, EmbeddedUnavailable

    try:
        with _started(EmbeddedPostgres(data_dir)) as url:
            yield url
    except EmbeddedUnavailable as failed:
        raise CommandFailed(str(failed), UNREACHABLE) from failed


@contextmanager
def _started(server: "EmbeddedPostgres") -> Iterator[str]:
    with (server.directory / "commands.lock").open("a") as commands:
        # Held by all commands that use the server, so that the one that started it stops it after the last.
        fcntl.flock(commands, fcntl.LOCK_SH)
        ours = not server.is_running()
        try:
            yield server.start()
        finally:
            if ours:
                fcntl.flock(commands, fcntl.LOCK_EX)
                _stop_unless_up(server)


def _stop_unless_up(server: "EmbeddedPostgres") -> None:
    """Stop the server, unless a `leadline up` has adopted it meanwhile."""
    with (server.directory / "leadline.lock").open("a") as supervisor:
        try:
            fcntl.flock(supervisor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return
        server.stop()
