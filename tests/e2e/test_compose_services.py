"""The services with commands, environment and health checks of the compose file, on real servers."""

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from deploy.kafka.local.broker import LocalKafka, free_port
from tests.support.compose import services
from tests.support.eventually import eventually_sync
from tests.support.kafka import QUICK_GROUPS, kafka_jars

SERVED = ("api", "ingest", "scoring", "routing")
SET_UP_SECONDS = 120.0
STOP_SECONDS = 20.0


class Containers:
    """The containers of ours as processes here: only where servers listen differs from the compose file."""

    def __init__(self, found: dict[str, Any], database_url: str, bootstrap: str, folder: Path) -> None:
        self._found = found
        self._folder = folder
        self._here = {"LEADLINE_DATABASE_URL": database_url, "LEADLINE_KAFKA_BOOTSTRAP": bootstrap}
        self.ports = {name: free_port() for name in SERVED}

    def environment(self, name: str) -> dict[str, str]:
        """Return exactly what the compose file sets, at our addresses, and what the image sets."""
        given = {key: str(value) for key, value in self._found[name]["environment"].items()}
        assert self._here.keys() <= given.keys()
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        return given | self._here | {"PATH": path, "LEADLINE_DATA_DIR": str(self._folder)}

    def command(self, name: str) -> list[str]:
        """Return entry point and command; the image's own entry point is `leadline`."""
        service = self._found[name]
        command = [*(service.get("entrypoint") or ["leadline"]), *service["command"]]
        return command if name not in self.ports else [*command, "--port", str(self.ports[name])]

    def set_up(self) -> str:
        """Run the set-up to its end; return what it said."""
        done = subprocess.run(
            self.command("setup"),
            env=self.environment("setup"),
            cwd=self._folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=SET_UP_SECONDS,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    @contextmanager
    def running(self, name: str) -> Iterator[None]:
        """Run one for the block; it must end by itself when it is asked to."""
        with (self._folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                self.command(name), env=self.environment(name), cwd=self._folder, stdout=log, stderr=log
            )
            try:
                yield
                process.terminate()
                assert process.wait(STOP_SECONDS) == 0
            finally:
                process.kill()
                process.wait()

    def healthy(self, name: str) -> bool:
        """Run the health check of the compose file."""
        kind, *check = self._found[name]["healthcheck"]["test"]
        assert kind == "CMD"
        command = [part.replace("127.0.0.1:8080", f"127.0.0.1:{self.ports[name]}") for part in check]
        assert command != check
        done = subprocess.run(
            command, env=self.environment(name), capture_output=True, text=True, check=False, timeout=30
        )
        log = (self._folder / f"{name}.log").read_text(errors="replace")[-1500:]
        assert done.returncode == 0, f"{name} is not healthy: {done.stderr[-300:]}\n{log}"
        return True


@pytest.fixture
def kafka(tmp_path: Path) -> Iterator[LocalKafka]:
    """A broker of its own: the compose file names no prefix for topics."""
    broker = LocalKafka(tmp_path / "kafka", kafka_jars(), settings=QUICK_GROUPS)
    try:
        broker.start()
        yield broker
    finally:
        broker.stop()


def test_the_services_start_and_are_healthy_with_exactly_that_environment(
    tmp_path: Path, empty_database_url: str, kafka: LocalKafka
) -> None:
    (tmp_path / "data").mkdir()
    containers = Containers(services(), empty_database_url, kafka.bootstrap, tmp_path / "data")
    assert "leadline.handoffs" in containers.set_up()
    # Once more, as at each start: nothing is left to do.
    containers.set_up()
    with ExitStack() as running:
        for name in SERVED:
            running.enter_context(containers.running(name))
        for name in SERVED:
            eventually_sync(lambda name=name: containers.healthy(name), timeout_seconds=60, what=name)  # type: ignore[misc]
        made = subprocess.run(
            shlex.split("leadline keys create site --scope ingest --scope read --json"),
            env=containers.environment("api"),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        assert '"ll_' in made.stdout
        key = made.stdout.split('"ll_')[1].split('"')[0]
        with httpx2.Client(
            base_url=f"http://127.0.0.1:{containers.ports['api']}",
            headers={"authorization": f"Bearer ll_{key}"},
            trust_env=False,
        ) as client:
            form = {"email": "ada@buyer.example", "message": "Please show me a demo"}
            assert client.post("/v1/forms/website", json=form).is_success

            def scored() -> bool:
                return bool(client.get("/v1/leads", params={"email": form["email"]}).json()["data"])

            eventually_sync(scored, timeout_seconds=60, what="a lead of the form")
