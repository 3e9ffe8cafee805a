"""`leadline doctor`: one line for each check, with what to do where something is not well."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from leadline.cli.client import connect
from leadline.cli.database import reach_database
from leadline.cli.exit_codes import CHECK_FAILED
from leadline.cli.options import DEFAULT_DATA_DIR, AsJson, DatabaseUrl, DataDir, Key, Url
from leadline.cli.output import coloured, print_json

if TYPE_CHECKING:
    from leadline.doctor import Check

MARKS = {
    "ok": coloured("ok     ", "32"),
    "warning": coloured("warning", "33"),
    "failed": coloured("FAILED ", "31"),
}


def doctor(
    reconcile: Annotated[
        bool,
        typer.Option("--reconcile", help="Also prove from the tables that nothing is lost or held twice."),
    ] = False,
    database: DatabaseUrl = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    url: Url = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Check storage, roles, clocks, bus, quarantine, dead letters and spool; warnings do not fail.

    With --url only the reconciliation of that Leadline is run, since its database is not ours to reach.
    """
    checks = [] if url else _checks(database, data_dir)
    findings = _reconciliation(url, key, data_dir) if reconcile or url else []
    failed = [check for check in checks if check.status == "failed"]
    wrong = [finding for finding in findings if finding["problems"]]
    if as_json:
        fields = ("area", "name", "status", "detail", "fix")
        print_json(
            {
                "ok": not failed and not wrong,
                "checks": [{field: getattr(check, field) for field in fields} for check in checks],
                "reconciliation": findings,
            }
        )
    else:
        _print(checks, findings)
    if failed or wrong:
        raise typer.Exit(CHECK_FAILED)


def _checks(database: str | None, data_dir: Path) -> "list[Check]":
    from leadline.doctor import check_installation, check_spool

    with reach_database(database, data_dir) as address:
        return [*asyncio.run(check_installation(address)), *check_spool(data_dir)]


def _reconciliation(url: str | None, key: str | None, data_dir: Path) -> list[dict[str, Any]]:
    with connect(url, key, data_dir) as leadline:
        findings: list[dict[str, Any]] = leadline.get("/v1/reconcile")["findings"]
    return findings


def _print(checks: "list[Check]", findings: list[dict[str, Any]]) -> None:
    for check in checks:
        print(f"{MARKS[check.status]}  {check.area:<8} {check.name}: {check.detail}")
        for line in check.fix.splitlines():
            print(f"         -> {line}")
    for finding in findings:
        problems = finding["problems"]
        mark = MARKS["failed" if problems else "ok"]
        print(f"{mark}  {finding['service']:<8} {finding['check']}: {finding['checked']} checked")
        for problem in problems:
            print(f"         -> {problem}")
    bad = sum(check.status == "failed" for check in checks) + sum(bool(f["problems"]) for f in findings)
    warned = sum(check.status == "warning" for check in checks)
    print(f"{len(checks) + len(findings)} checks, {bad} failed, {warned} warning{'' if warned == 1 else 's'}")
