"""What people get wrong is answered with a sentence and what to do, never as a bug of Leadline."""

import json
from pathlib import Path

import pytest

from leadline.cli.app import run
from leadline.cli.client import connect, refusal
from leadline.cli.exit_codes import CHECK_FAILED, CONFIG_INVALID, OK, UNREACHABLE, USAGE
from leadline.cli.up import welcome
from leadline.runtime_file import Running, write_running
from leadline.standalone import Ready

READY = Ready("http://127.0.0.1:9", "embedded", "postgres", {"read": "r", "admin": "a"}, "postgresql://x/y")


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("LEADLINE_URL", "LEADLINE_API_KEY", "LEADLINE_DATA_DIR", "LEADLINE_DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    "arguments",
    [
        ["up", "--port", "99999"],
        ["up", "--data-dir", "a-file"],
        ["up", "--data-dir", "a-file/below"],
        ["up", "--database", "mysql://x"],
        ["keys", "list", "--database", "mysql://x"],
    ],
)
def test_a_value_that_cannot_be_used_is_a_matter_of_usage(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("a-file").write_text("")
    assert run(arguments) == USAGE
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("command", ["api", "work"])
def test_a_setting_that_cannot_be_used_is_named_and_its_value_kept(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LEADLINE_MAX_BODY_BYTES", "much")
    assert run([command]) == CONFIG_INVALID
    said = capsys.readouterr().err
    assert said.startswith("leadline: settings cannot be used: LEADLINE_MAX_BODY_BYTES: ")
    assert "much" not in said


def test_without_a_running_leadline_the_hint_names_the_data_directory(
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_running(Path(), Running("http://127.0.0.1:9", {"read": "r"}, ""))
    assert run(["status", "--data-dir", "."]) == UNREACHABLE
    assert "leadline up --data-dir ." in capsys.readouterr().err


def test_the_data_directory_gives_address_and_key(tmp_path: Path) -> None:
    write_running(tmp_path, Running("http://127.0.0.1:9", {"read": "secret"}, ""))
    with connect(None, None, tmp_path) as leadline:
        assert (leadline.url, leadline.key) == ("http://127.0.0.1:9", "secret")


def test_the_welcome_says_how_other_commands_find_a_data_directory_of_ones_own(tmp_path: Path) -> None:
    line = f"  export LEADLINE_DATA_DIR={tmp_path.resolve()}"
    assert line in welcome(READY, demo=False, data_dir=tmp_path)
    assert not [said for said in welcome(READY, demo=False) if "export" in said]


def test_a_refused_correction_is_no_refused_configuration() -> None:
    refused = refusal(422, {"code": "no_identity", "errors": [{"pointer": "/email", "detail": "odd"}]})
    assert refused.code == CHECK_FAILED
    assert refused.errors == [{"pointer": "/email", "detail": "odd"}]


def test_a_failure_in_json_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["status", "--json", "--url", "http://127.0.0.1:9"]) == UNREACHABLE
    assert "--data-dir" in json.loads(capsys.readouterr().err)["fix"]


def test_the_version_is_told_by_an_option_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == OK
    assert capsys.readouterr().out.startswith("leadline ")
