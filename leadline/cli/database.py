"""Finding the database for commands that work on it directly: by URL, or the one of a data directory."""

from pathlib import Path

from leadline.cli.exit_codes import UNREACHABLE, CommandFailed
from leadline.runtime_file import read_running


def database_url(given: str | None, data_dir: Path) -> str:
    """Return the asyncpg URL to use; the embedded server of `data_dir` is started if it is not running."""
    if given:
        return given
    running = read_running(data_dir)
    if running is not None and not (data_dir / "postgres").exists():
        return running.database_url
    if not (data_dir / "postgres").exists():
        raise CommandFailed(
            f"there is no database in {data_dir} and none was named",
            UNREACHABLE,
            "leadline up, or --database URL",
        )
    from shared.db.embedded import EmbeddedPostgres, EmbeddedUnavailable

    try:
        return EmbeddedPostgres(data_dir).start()
    except EmbeddedUnavailable as failed:
        raise CommandFailed(str(failed), UNREACHABLE) from failed
