"""`leadline config`: the YAML files that name sources, score leads and route them."""

import importlib
import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from leadline.cli.client import connect
from leadline.cli.exit_codes import CONFIG_INVALID, USAGE, CommandFailed
from leadline.cli.groups import group
from leadline.cli.options import DEFAULT_DATA_DIR, AsJson, DataDir, Key, Url
from leadline.cli.output import plain, print_json, show, talk
from shared.config_file import ConfigDocument, ConfigError, ConfigFinding, parse

app = group()


class Kind(StrEnum):
    """The three configurations, each owned by one service."""

    SOURCES = "sources"
    MODEL = "model"
    POLICY = "policy"


PATHS = {Kind.SOURCES: "/v1/sources", Kind.MODEL: "/v1/models", Kind.POLICY: "/v1/policies"}

LINTERS = {
    Kind.SOURCES: ("services.ingest.usecases.lint_sources", "lint"),
    Kind.MODEL: ("services.scoring.usecases.lint_model", "lint_model"),
    Kind.POLICY: ("services.routing.usecases.lint_policy", "lint"),
}

KindArgument = Annotated[Kind, typer.Argument(help="sources, model or policy.")]
File = Annotated[Path, typer.Argument(help="The YAML file.")]


@app.command("lint")
def lint(kind: KindArgument, file: File, as_json: AsJson = False) -> None:
    """Check a file without a running Leadline; exit 3 if it has faults."""
    try:
        findings = [vars_of(finding) for finding in _linter(kind)(parse(_read(file), file=str(file)))]
    except ConfigError as refused:
        findings = [vars_of(finding) for finding in refused.findings]
    if as_json:
        print_json({"file": str(file), "findings": findings})
    else:
        for finding in findings:
            print("{file}:{line}: {severity}: {message}".format(**finding))
            print(f"    {finding['path']}: {finding['fix']}")
    errors = sum(finding["severity"] == "error" for finding in findings)
    if errors:
        faults = "1 fault" if errors == 1 else f"{errors} faults"
        raise CommandFailed(f"{faults} in {file}", CONFIG_INVALID)
    if not as_json:
        print(f"{file}: no faults")


@app.command("push")
def push(
    kind: KindArgument,
    file: File,
    url: Url = None,
    key: Key = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Make a file the active version; refused with its faults, and then nothing has changed."""
    text = _read(file)
    with connect(url, key, data_dir, scope="admin") as leadline:
        answer = leadline.call(
            "PUT",
            PATHS[kind],
            file=str(file),
            content=text.encode(),
            headers={"content-type": "application/yaml"},
        )
    show(answer.body, as_json=as_json)


@app.command("show")
def show_active(
    kind: KindArgument,
    url: Url = None,
    key: Key = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Print the active file as it was pushed (stdout), and who pushed it (stderr)."""
    with connect(url, key, data_dir) as leadline:
        found = leadline.get(PATHS[kind])
    facts = found if isinstance(found, dict) else {"body": found}
    # Scoring names the text `text`, routing `body`, ingest answers with nothing else.
    body = facts.pop("text", None) or facts.pop("body", "")
    if as_json:
        print_json({**facts, "body": body})
        return
    for name, value in facts.items():
        if not isinstance(value, (dict, list)):
            talk(f"# {name}: {plain(value)}")
    sys.stdout.write(body if body.endswith("\n") else body + "\n")


def vars_of(finding: ConfigFinding) -> dict[str, Any]:
    """Return a ConfigFinding as a JSON object."""
    return {name: getattr(finding, name) for name in ("file", "line", "path", "message", "fix", "severity")}


def _linter(kind: Kind) -> Callable[[ConfigDocument], list[ConfigFinding]]:
    module, function = LINTERS[kind]
    lint: Callable[[ConfigDocument], object] = getattr(importlib.import_module(module), function)

    def findings_of(document: ConfigDocument) -> list[ConfigFinding]:
        result = lint(document)
        return list(result) if isinstance(result, (list, tuple)) else []

    return findings_of


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError as unreadable:
        raise CommandFailed(f"cannot read {file}: {unreadable.strerror}", USAGE) from unreadable
    except UnicodeDecodeError as unreadable:
        raise CommandFailed(f"cannot read {file}: it is not UTF-8 text", USAGE) from unreadable
