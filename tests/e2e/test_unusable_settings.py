"""`leadline up` with a setting that no part could start with: it says which one, and starts nothing."""

import os
import subprocess
import sys
from pathlib import Path

from leadline.cli.exit_codes import CONFIG_INVALID

START_SECONDS = 30


def test_leadline_up_ends_and_names_the_setting(tmp_path: Path) -> None:
    given = {**os.environ, "LEADLINE_SPOOL_MAX_BYTES": "plenty"}
    ended = subprocess.run(
        [sys.executable, "-m", "leadline", "up", "--port", "0", "--data-dir", str(tmp_path)],
        env=given,
        capture_output=True,
        text=True,
        timeout=START_SECONDS,
        check=False,
    )
    assert ended.returncode == CONFIG_INVALID, ended.stderr
    _, told = ended.stderr.splitlines()
    assert told.startswith("leadline: settings cannot be used: LEADLINE_SPOOL_MAX_BYTES: ")
    assert "plenty" not in ended.stderr
    assert not list(tmp_path.rglob("PG_VERSION")), "the database was made all the same"
