"""`leadline replay`: post recorded events of a real shop over HTTP, wait, and say what became of them."""

import asyncio
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from leadline.cli.client import connect
from leadline.cli.exit_codes import PARTIAL, UNREACHABLE, USAGE, CommandFailed
from leadline.cli.options import DEFAULT_DATA_DIR, AsJson, DataDir, Key, Url
from leadline.cli.output import print_json, talk

if TYPE_CHECKING:
    from leadline.replay.run import Report

app = typer.Typer(no_args_is_help=True)

Folder = Annotated[Path, typer.Argument(help="Folder with events_*.csv.gz.", exists=True, file_okay=False)]
Shift = Annotated[
    int | None,
    typer.Option(help="Seconds to add to every timestamp; without it, so many that the last event is now."),
]


@app.callback()
def replay() -> None:
    """Post recorded events of a real shop over HTTP."""


@app.command()
def puffy(
    folder: Folder,
    shift: Shift = None,
    url: Url = None,
    key: Key = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Post the web events of a mattress shop: page views, carts, checkouts, filled pop-ups.

    The same files with the same --shift a second time change nothing: all are known already.
    """
    from leadline.replay.post import ReplayStopped
    from leadline.replay.puffy import NoEvents, messages, read_rows, shift_to
    from leadline.replay.run import run

    try:
        rows = read_rows(folder)
    except NoEvents as nothing:
        raise CommandFailed(str(nothing), USAGE) from nothing
    moved = timedelta(seconds=shift) if shift is not None else shift_to(datetime.now(UTC), rows)
    with connect(url, key, data_dir, scope="admin") as leadline:
        leadline.get("/v1/status")
        address, secret = leadline.url, leadline.key
    try:
        report = asyncio.run(run(list(messages(rows, moved)), address, secret))
    except* ReplayStopped as stopped:
        raise CommandFailed(str(stopped.exceptions[0]), UNREACHABLE, "leadline status") from stopped
    _show(report, int(moved.total_seconds()), as_json=as_json)
    if report.accepted + sum(report.quarantined.values()) != report.sent:
        raise CommandFailed("accepted and quarantined do not add up to what was sent", PARTIAL)


def _show(report: "Report", shift: int, *, as_json: bool) -> None:
    if as_json:
        print_json(asdict(report) | {"shift": shift})
        return
    rows: list[tuple[str, Any]] = [
        ("sent", report.sent),
        ("accepted", report.accepted),
        ("  of them known before (duplicates)", report.duplicates),
        ("quarantined", sum(report.quarantined.values())),
        *((f"  {reason}", number) for reason, number in sorted(report.quarantined.items())),
        ("visitors in the files", report.visitors),
        ("new leads with an address", report.leads),
        ("newly qualified (MQL)", report.qualified),
        ("newly handed over", report.handed_over),
    ]
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        print(f"{name:<{width}}  {value:>8,}")
    talk(f"the same again: --shift {shift}")
