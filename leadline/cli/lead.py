"""`leadline lead show`: what all services know about one lead."""

from typing import Annotated

import typer

from leadline.cli.client import connect
from leadline.cli.groups import group
from leadline.cli.options import DEFAULT_DATA_DIR, AsJson, DataDir, Key, Url
from leadline.cli.output import show

app = group()


@app.callback()
def lead() -> None:
    """Show everything about one lead."""


@app.command("show")
def show_lead(
    lead: Annotated[str, typer.Argument(help="Lead id, or the e-mail address.")],
    url: Url = None,
    key: Key = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Show identities, scores, lifecycle, hand-offs and clocks of one lead."""
    with connect(url, key, data_dir) as leadline:
        show(leadline.get(f"/v1/leads/{leadline.lead_id(lead)}/overview"), as_json=as_json)
