"""`leadline sla check`: for anyone who wants to check the deadlines with cases of their own."""

from pathlib import Path
from typing import Annotated

import typer

from leadline.cli.exit_codes import CHECK_FAILED, USAGE, CommandFailed
from leadline.cli.groups import group
from leadline.cli.options import AsJson
from leadline.cli.output import print_json

app = group()


@app.callback()
def sla() -> None:
    """Check SLA deadlines against a file of cases."""


@app.command("check")
def check(
    file: Annotated[Path, typer.Argument(help="JSON Lines: one case a line.")], as_json: AsJson = False
) -> None:
    """Compute every case, print the mismatches and a count; exit 1 if there is a mismatch."""
    from services.routing.usecases.check_deadlines import check_deadlines

    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError as unreadable:
        raise CommandFailed(f"cannot read {file}: {unreadable.strerror}", USAGE) from unreadable
    checked, mismatches = check_deadlines(lines)
    if as_json:
        print_json({"checked": checked, "mismatches": mismatches})
    else:
        for mismatch in mismatches:
            print(mismatch)
        print(f"{checked} cases checked, {len(mismatches)} mismatches")
    if mismatches:
        raise typer.Exit(CHECK_FAILED)
