"""`leadline quarantine`: submissions that were stored but could not be mapped to a lead."""

import json
from typing import Annotated, Any

import typer

from leadline.cli.client import connect
from leadline.cli.exit_codes import USAGE, CommandFailed
from leadline.cli.groups import group
from leadline.cli.options import DEFAULT_DATA_DIR, AsJson, DataDir, Key, Url
from leadline.cli.output import print_json, show, table

app = group()

Submission = Annotated[str, typer.Argument(help="Id of the submission, from `list`.")]


@app.command("list")
def list_held(
    url: Url = None, key: Key = None, data_dir: DataDir = DEFAULT_DATA_DIR, as_json: AsJson = False
) -> None:
    """List what is held, oldest first."""
    with connect(url, key, data_dir) as leadline:
        held = list(leadline.pages("/v1/quarantine"))
    if as_json:
        print_json(held)
    else:
        table(held, ("id", "source", "received_at", "code", "detail"))


@app.command("show")
def show_held(
    submission: Submission,
    url: Url = None,
    key: Key = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Show one submission as it was received."""
    with connect(url, key, data_dir) as leadline:
        show(leadline.get(f"/v1/quarantine/{submission}"), as_json=as_json)


@app.command("repair")
def repair(
    submission: Submission,
    fields: Annotated[
        list[str], typer.Option("--set", help="name=value of a field to set; repeat for several.")
    ],
    url: Url = None,
    key: Key = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Set fields of one submission and map it again."""
    body = {"fields": dict(_field(text) for text in fields)}
    with connect(url, key, data_dir, scope="admin") as leadline:
        show(leadline.post(f"/v1/quarantine/{submission}/repair", body), as_json=as_json)


@app.command("replay")
def replay(
    submission: Submission,
    url: Url = None,
    key: Key = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Map one submission again, with the mapping as it is now."""
    with connect(url, key, data_dir, scope="admin") as leadline:
        show(leadline.post(f"/v1/quarantine/{submission}/replay"), as_json=as_json)


@app.command("discard")
def discard(
    submission: Submission,
    url: Url = None,
    key: Key = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Give one submission up; the receipt stays, marked as discarded."""
    with connect(url, key, data_dir, scope="admin") as leadline:
        show(leadline.post(f"/v1/quarantine/{submission}/discard"), as_json=as_json)


def _field(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise CommandFailed(f"{text!r} is not name=value", USAGE)
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value
