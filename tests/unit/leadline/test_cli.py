"""The command line: exit codes, data on stdout and talk on stderr, help without the services."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from leadline.cli.app import COMMANDS, run
from leadline.cli.client import refusal
from leadline.cli.exit_codes import (
    CHECK_FAILED,
    CONFIG_INVALID,
    CONFLICT,
    NOT_ALLOWED,
    OK,
    UNREACHABLE,
    USAGE,
)

SCORE = {
    "lead_id": "ld_1",
    "as_of": "2026-11-02T10:00:00Z",
    "fit": 30000,
    "engagement": 12500,
    "grade": "B2",
    "enters": True,
    "level_reason": "hand_raise",
    "model_version": "m1",
    "lines": [
        {"dimension": "fit", "rule": "size", "kind": "rule", "points": 30000, "label": "Company size"},
        {"dimension": "engagement", "rule": "pricing", "kind": "signal", "points": 12500, "inputs": {"n": 2}},
    ],
}


class Canned(BaseHTTPRequestHandler):
    """Answers as a Leadline would, for the paths of these tests."""

    def do_GET(self) -> None:
        status, body = ANSWERS.get(self.path.partition("?")[0], (404, {"detail": "no such lead"}))
        if self.headers["authorization"] != "Bearer good":
            status, body = 401, {"detail": "The API key is not valid."}
        raw = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def do_PUT(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


ANSWERS: dict[str, tuple[int, Any]] = {
    "/v1/status": (200, {"version": "1", "services": {"ingest": {"held": 0}}}),
    "/v1/leads": (200, {"data": [{"lead_id": "ld_1"}], "next": None}),
    "/v1/leads/ld_1/score": (200, SCORE),
    "/v1/models": (
        422,
        {
            "code": "invalid_model",
            "detail": "refused",
            "errors": [{"line": 3, "detail": "odd", "fix": "mend"}],
        },
    ),
    "/v1/deadletters/routing/7/replay": (409, {"detail": "not held any more"}),
    "/v1/deadletters": (503, {"detail": "The database cannot be reached."}),
}


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Canned)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    monkeypatch.setenv("LEADLINE_URL", f"http://127.0.0.1:{server.server_address[1]}")
    monkeypatch.setenv("LEADLINE_API_KEY", "good")
    yield str(server.server_address)
    server.shutdown()
    server.server_close()


def test_help_names_every_command_without_importing_one() -> None:
    code = (
        "import sys; from leadline.cli.app import run; run(['--help']); print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    missing = [name for name in COMMANDS if f"  {name} " not in done.stdout]
    heavy = {"fastapi", "sqlalchemy", "rich", "asyncpg", "httpx2", "services", "pydantic"}
    assert missing == []
    assert not heavy & {name.partition(".")[0] for name in done.stderr.split()}


def test_a_mistyped_command_is_answered_with_the_one_that_was_meant(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["statsu"]) == USAGE
    assert "Did you mean 'status'?" in capsys.readouterr().err


@pytest.mark.usefixtures("url")
def test_json_is_one_line_on_stdout_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["status", "--json"]) == OK
    out, err = capsys.readouterr()
    assert json.loads(out)["services"] == {"ingest": {"held": 0}}
    assert (out.count("\n"), err) == (1, "")


@pytest.mark.usefixtures("url")
def test_a_score_is_explained_by_lines_that_sum_to_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", "score", "ld_1"]) == OK
    out = capsys.readouterr().out
    assert "30.000    Company size" in out
    assert "12.500    pricing (n=2)" in out
    assert "qualifies: hand raise" in out


@pytest.mark.usefixtures("url")
@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["status", "--key", "bad"], NOT_ALLOWED, "--key"),
        (["explain", "score", "ld_" + 32 * "0"], CHECK_FAILED, "no such lead"),
        (["deadletters", "replay", "routing", "7"], CONFLICT, "not held any more"),
        (["deadletters", "list"], UNREACHABLE, "leadline doctor"),
        (["status", "--url", "http://127.0.0.1:9"], UNREACHABLE, "--data-dir"),
        (["status", "--url", "https://127.0.0.1:9"], UNREACHABLE, "--url http://127.0.0.1:9"),
        (["status", "--url", "127.0.0.1:9"], UNREACHABLE, "scheme"),
    ],
)
def test_a_refusal_ends_with_its_code_and_says_what_to_do(
    arguments: list[str], code: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == code
    out, err = capsys.readouterr()
    assert words in err
    assert out == ""


@pytest.mark.usefixtures("url")
def test_a_refused_configuration_names_line_and_fix(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "model.yaml"
    file.write_text("version: 1\n")
    assert run(["config", "push", "model", str(file)]) == CONFIG_INVALID
    assert f"{file}:3: odd (mend)" in capsys.readouterr().err


def test_a_failure_is_json_too_where_json_was_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["status", "--json", "--url", "http://127.0.0.1:9", "--key", "k"]) == UNREACHABLE
    assert json.loads(capsys.readouterr().err)["code"] == UNREACHABLE


def test_what_a_problem_names_besides_its_detail_is_shown() -> None:
    problem = {"type": "about:blank", "detail": "Anna holds leads.", "open_handoffs": {"anna": ["ho_1"]}}
    assert 'open_handoffs: {"anna": ["ho_1"]}' in str(refusal(409, problem))
