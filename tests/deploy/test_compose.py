"""The compose file and the image: well-formed, no default password, no setting that nobody reads."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from services.ingest.settings import IngestSettings
from services.routing.settings import RoutingSettings
from services.scoring.settings import ScoringSettings
from tests.support.compose import ROOT, parsed, services

BIN = Path(sys.executable).parent
OURS = ("api", "ingest", "scoring", "routing", "setup")
KNOWN = {
    f"LEADLINE_{name.upper()}"
    for settings in (IngestSettings, ScoringSettings, RoutingSettings)
    for name in settings.model_fields
}


def test_the_dockerfile_is_clean() -> None:
    said = subprocess.run(
        [BIN / "hadolint", "--failure-threshold", "info", ROOT / "deploy" / "Dockerfile"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert said.returncode == 0, said.stdout + said.stderr


def test_the_compose_file_is_one() -> None:
    said = subprocess.run(
        [BIN / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", ROOT / "docker-compose.yml"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert said.returncode == 0, said.stdout + said.stderr


def test_without_a_password_nothing_starts() -> None:
    told = parsed()
    assert told.returncode != 0
    assert "LEADLINE_POSTGRES_PASSWORD" in told.stderr


@pytest.mark.parametrize("name", OURS)
def test_every_variable_is_a_setting(name: str) -> None:
    environment = services()[name]["environment"]
    assert environment.keys() <= KNOWN
    assert {"LEADLINE_DATABASE_URL", "LEADLINE_BUS", "LEADLINE_KAFKA_BOOTSTRAP"} <= environment.keys()


@pytest.mark.parametrize("name", OURS)
def test_no_container_of_ours_can_change_itself(name: str) -> None:
    service = services()[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "user" not in service
    (data,) = [mount["target"] for mount in service["volumes"]]
    assert data == "/var/lib/leadline"


def test_everything_that_runs_has_a_health_check_and_waits_for_the_set_up() -> None:
    found = services()
    for name in set(found) - {"setup"}:
        assert found[name]["healthcheck"]["test"], name
    for name in set(OURS) - {"setup"}:
        assert found[name]["depends_on"]["setup"]["condition"] == "service_completed_successfully"


def dockerfile() -> str:
    return (ROOT / "deploy" / "Dockerfile").read_text()


def test_the_image_runs_as_nobody_in_particular_and_sets_what_we_read() -> None:
    text = dockerfile()
    assert re.findall(r"^USER (.+)$", text, re.MULTILINE) == ["10001:10001"]
    assert set(re.findall(r"\b(LEADLINE_[A-Z_]+)=", text)) <= KNOWN


def test_the_image_is_built_from_what_is_sent_to_it() -> None:
    copied = {
        source
        for line in re.findall(r"^COPY (?!--from)(.+)$", dockerfile(), re.MULTILINE)
        for source in line.split()[:-1]
    }
    sent = {
        line.removeprefix("!")
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line[:1] == "!"
    }
    assert copied == sent
    for name in copied:
        assert (ROOT / name).exists(), name


def test_the_kafka_of_compose_is_the_one_of_the_tests() -> None:
    image = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["kafka"]["image"]
    pom = (ROOT / "deploy" / "kafka" / "local" / "pom.xml").read_text()
    assert image.removeprefix("apache/kafka:") in pom
