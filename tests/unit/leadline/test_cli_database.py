"""A command that starts the embedded database for itself stops it again, and nobody else's."""

import fcntl
from pathlib import Path

import pytest

from leadline.cli.database import reach_database
from shared.db import embedded


class Server:
    """Stands in for the embedded server: runs or not, and remembers being stopped."""

    def __init__(self, directory: Path, *, running: bool) -> None:
        self.directory = directory
        self.running = running

    def is_running(self) -> bool:
        return self.running

    def start(self) -> str:
        self.running = True
        return "postgresql://postgres@/leadline"

    def stop(self) -> None:
        self.running = False


def serve(monkeypatch: pytest.MonkeyPatch, folder: Path, *, running: bool) -> Server:
    server = Server(folder, running=running)
    (folder / "postgres").mkdir()
    monkeypatch.setattr(embedded, "EmbeddedPostgres", lambda _folder: server)
    return server


def test_a_server_started_for_a_command_is_stopped_after_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    server = serve(monkeypatch, tmp_path, running=False)
    with reach_database(None, tmp_path) as url:
        assert (server.running, url) == (True, "postgresql://postgres@/leadline")
    assert not server.running


def test_a_server_that_ran_before_goes_on_running(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    server = serve(monkeypatch, tmp_path, running=True)
    with reach_database(None, tmp_path):
        pass
    assert server.running


def test_a_server_that_leadline_up_has_adopted_meanwhile_goes_on_running(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    server = serve(monkeypatch, tmp_path, running=False)
    with (tmp_path / "leadline.lock").open("a") as supervisor:
        with reach_database(None, tmp_path):
            fcntl.flock(supervisor, fcntl.LOCK_EX)
        assert server.running
