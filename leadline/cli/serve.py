"""`leadline api` and `leadline work`: the two processes of `leadline up`, also run apart."""

import os
import socket
from typing import Annotated

import typer

from leadline.cli.database import checked_url
from leadline.cli.exit_codes import UNREACHABLE, CommandFailed
from leadline.cli.options import DatabaseUrl, Port


def api(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Port = 8080,
    database: DatabaseUrl = None,
) -> None:
    """Serve HTTP for all three services in one process."""
    _prepare(database)
    from leadline.api import serve
    from leadline.standalone import LISTEN_DESCRIPTOR_VARIABLE
    from shared.process import listen, run_process

    descriptor = os.environ.pop(LISTEN_DESCRIPTOR_VARIABLE, "")
    try:
        listener = socket.socket(fileno=int(descriptor)) if descriptor else listen(host, port)
    except OSError as taken:
        raise CommandFailed(
            f"cannot listen on {host}:{port}: {os.strerror(taken.errno or 0)}", UNREACHABLE
        ) from taken
    raise typer.Exit(run_process(lambda stop: serve(listener, stop)))


def work(database: DatabaseUrl = None) -> None:
    """Run worker, relay and timer of all three services in one process."""
    _prepare(database)
    from leadline.work import work as run_work
    from shared.process import run_process

    raise typer.Exit(run_process(run_work))


def _prepare(database: str | None) -> None:
    from shared.observability.logging import configure_logging
    from shared.settings import ServiceSettings

    if checked_url(database):
        os.environ["LEADLINE_DATABASE_URL"] = str(database)
    settings = ServiceSettings()
    configure_logging(settings.log_level, settings.log_format)
