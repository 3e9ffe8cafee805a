"""`leadline config`: the YAML files that name sources, score leads and route them."""

import importlib
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from leadline.cli.client import connect
from leadline.cli.exit_codes import CONFIG_INVALID, USAGE, CommandFailed
from leadline.cli.groups import group
from leadline.cli.options import AsJson, Key, Url
from leadline.cli.output import plain, print_json, show
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
        raise CommandFailed(f"{errors} faults in {file}", CONFIG_INVALID)
    if not as_json:
        print(f"{file}: no faults")


@app.command("push")
def push(kind: KindArgument, file: File, url: Url = None, key: Key = None, as_json: AsJson = False) -> None:
    """Make a file the active version; refused with its faults, and then nothing has changed."""
    text = _read(file)
    with connect(url, key, scope="admin") as leadline:
        answer = leadline.call(
            "PUT", PATHS[kind], content=text.encode(), headers={"content-type": "application/yaml"}
        )
    show(answer.body, as_json=as_json)


@app.command("show")
def show_active(kind: KindArgument, url: Url = None, key: Key = None, as_json: AsJson = False) -> None:
    """Show the active version."""
    with connect(url, key) as leadline:
        found = leadline.get(PATHS[kind])
    if isinstance(found, str):
        found = {"body": found}
    body = found.pop("body", None)
    if as_json or not isinstance(body, str):
        show({**found, "body": body}, as_json=as_json)
        return
    for name, value in found.items():
        print(f"# {name}: {plain(value)}")
    print(body)


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
    except (OSError, UnicodeDecodeError) as unreadable:
        raise CommandFailed(f"cannot read {file}: {unreadable}", USAGE) from unreadable
