"""`leadline deadletters`: messages that were accepted but could not be handled; they are held, not lost."""

from typing import Annotated

import typer

from leadline.cli.client import connect
from leadline.cli.groups import group
from leadline.cli.options import DEFAULT_DATA_DIR, AsJson, DataDir, Key, Url
from leadline.cli.output import print_json, show, table

app = group()

Service = Annotated[str, typer.Argument(help="ingest, scoring or routing.")]
Letter = Annotated[str, typer.Argument(help="Id of the dead letter, from `list`.")]


@app.command("list")
def list_letters(
    service: Annotated[str | None, typer.Option(help="Only those of this service.")] = None,
    url: Url = None,
    key: Key = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """List the dead letters that are held, oldest first."""
    with connect(url, key, data_dir) as leadline:
        letters = list(leadline.pages("/v1/deadletters", service=service))
    if as_json:
        print_json(letters)
    else:
        table(letters, ("service", "id", "first_seen", "code", "detail"))


@app.command("show")
def show_letter(
    service: Service,
    letter: Letter,
    url: Url = None,
    key: Key = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Show one dead letter with its headers and body (personal data: needs an admin key)."""
    with connect(url, key, data_dir, scope="admin") as leadline:
        show(leadline.get(f"/v1/deadletters/{service}/{letter}"), as_json=as_json)


@app.command("replay")
def replay_letter(
    service: Service,
    letter: Letter,
    url: Url = None,
    key: Key = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Put one dead letter back on its topic to be handled again."""
    with connect(url, key, data_dir, scope="admin") as leadline:
        show(leadline.post(f"/v1/deadletters/{service}/{letter}/replay"), as_json=as_json)


@app.command("discard")
def discard_letter(
    service: Service,
    letter: Letter,
    url: Url = None,
    key: Key = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Give one dead letter up; it stays listed as discarded, with who did it."""
    with connect(url, key, data_dir, scope="admin") as leadline:
        show(leadline.post(f"/v1/deadletters/{service}/{letter}/discard"), as_json=as_json)


@app.command("resume")
def resume_consumer(
    service: Service,
    url: Url = None,
    key: Key = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Let a consumer go on that stopped after too many failures in a row; what fails next is held too."""
    with connect(url, key, data_dir, scope="admin") as leadline:
        show(leadline.post(f"/v1/deadletters/{service}/resume"), as_json=as_json)
