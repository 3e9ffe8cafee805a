"""`leadline events tail`: the feed of hand-offs and SLA events, as it grows."""

import time
from typing import Annotated

import typer

from leadline.cli.client import connect
from leadline.cli.groups import group
from leadline.cli.options import DEFAULT_DATA_DIR, AsJson, DataDir, Key, Url
from leadline.cli.output import print_json
from leadline.console import line_of, names_of

app = group()

POLL_SECONDS = 0.5


@app.callback()
def events() -> None:
    """Follow the feed of hand-offs and SLA events."""


@app.command("tail")
def tail(
    after: Annotated[
        str | None, typer.Option(help="Cursor to go on from; without it, from the oldest.")
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Wait for more until Ctrl-C.")] = False,
    url: Url = None,
    key: Key = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Print the events of the feed, one a line."""
    with connect(url, key, data_dir) as leadline:
        names = {} if as_json else names_of(leadline.get("/v1/people"))
        while True:
            page = leadline.get("/v1/events", after=after)
            for event in page["data"]:
                if as_json:
                    print_json(event)
                elif line := line_of(event, names):
                    print(line.text, flush=True)
            after = page.get("next") or after
            if not page["data"]:
                if not follow:
                    return
                time.sleep(POLL_SECONDS)
