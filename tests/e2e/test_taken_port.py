"""`leadline api` on a port that somebody else has."""

import socket
import subprocess
import sys

from leadline.cli.exit_codes import UNREACHABLE


def test_a_port_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = subprocess.run(
            [sys.executable, "-m", "leadline", "api", "--port", str(port)],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    assert ended.returncode == UNREACHABLE
    assert ended.stderr == f"leadline: cannot listen on 127.0.0.1:{port}: Address already in use\n"
