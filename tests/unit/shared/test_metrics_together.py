"""Processes that share a folder for their metrics are shown as one."""

import os
import subprocess
import sys
from pathlib import Path

COUNT = "from shared.observability.metrics import RELAYED; RELAYED.labels('routing').inc(2)"
SHOW = "from shared.observability.metrics import render; print(render().decode())"


def run(code: str, folder: Path) -> str:
    environment = os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(folder)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True)
    return done.stdout.decode()


def test_what_two_processes_count_is_seen_in_a_third(tmp_path: Path) -> None:
    run(COUNT, tmp_path)
    run(COUNT, tmp_path)
    assert 'leadline_relayed_total{service="routing"} 4.0' in run(SHOW, tmp_path)
