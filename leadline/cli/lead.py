"""`leadline lead show`: what all services know about one lead."""

from typing import Annotated

import typer

from leadline.cli.client import connect
from leadline.cli.groups import group
from leadline.cli.lead_text import lead_text
from leadline.cli.options import DEFAULT_DATA_DIR, AsJson, DataDir, Key, Url
from leadline.cli.output import print_json
from leadline.console import names_of

app = group()


@app.callback()
def lead() -> None:
    """Show everything about one lead."""


@app.command("show")
def show_lead(
    lead: Annotated[str, typer.Argument(help="Lead id, its beginning, or the e-mail address.")],
    url: Url = None,
    key: Key = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Show a lead on one page: who it is, where it stands, what happened last; --json for everything."""
    with connect(url, key, data_dir) as leadline:
        found = leadline.get(f"/v1/leads/{leadline.lead_id(lead)}/overview")
        names = {} if as_json else names_of(leadline.get("/v1/people"))
    if as_json:
        print_json(found)
        return
    for line in lead_text(found, names):
        print(line)
