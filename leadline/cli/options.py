"""Options that several commands share, so that they are spelled and explained alike."""

from pathlib import Path
from typing import Annotated

import typer

DEFAULT_DATA_DIR = Path(".data")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]
Url = Annotated[
    str | None,
    typer.Option("--url", envvar="LEADLINE_URL", help="Address of a running Leadline.", show_default=False),
]
Key = Annotated[
    str | None,
    typer.Option("--key", envvar="LEADLINE_API_KEY", help="API key for it.", show_default=False),
]
DataDir = Annotated[
    Path,
    typer.Option(
        "--data-dir", envvar="LEADLINE_DATA_DIR", help="Folder in which `leadline up` keeps everything."
    ),
]
Port = Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.", min=0, max=65535)]
DatabaseUrl = Annotated[
    str | None,
    typer.Option(
        "--database",
        envvar="LEADLINE_DATABASE_URL",
        help="PostgreSQL 15 or newer by URL; without it the embedded one of the data directory.",
        show_default=False,
    ),
]
