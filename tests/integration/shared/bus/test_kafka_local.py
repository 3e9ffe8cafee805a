"""The broker that `make kafka` and `make run KAFKA=1` start."""

import socket
import subprocess
import sys
from pathlib import Path


def test_a_port_that_is_taken_is_not_taken_for_our_broker(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "deploy.kafka.local", "--directory", str(tmp_path), "--port", port]
        ended = subprocess.run(
            [*command, "--", "echo", "ran"], capture_output=True, text=True, timeout=60, check=False
        )
    assert (ended.returncode, ended.stdout) == (1, "")
    assert f"port {port} is taken; KAFKA_PORT= names another" in ended.stderr
