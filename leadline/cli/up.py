"""`leadline up`: what it prints. What it does is in `leadline.standalone`."""

import asyncio
import shlex
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leadline.cli.database import checked_url
from leadline.cli.exit_codes import UNREACHABLE, USAGE, CommandFailed
from leadline.cli.options import DEFAULT_DATA_DIR, DatabaseUrl, DataDir, Port
from leadline.cli.output import coloured, print_json, talk

if TYPE_CHECKING:
    from leadline.standalone import Ready


DEMO = (
    "This is an example company with a month of history, invented visitors, salespeople and a CRM. Its SLA",
    "targets are seconds to minutes instead of hours, so every kind of event shows within three minutes.",
)


def up(
    data_dir: DataDir = DEFAULT_DATA_DIR,
    port: Port = 8080,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    database: DatabaseUrl = None,
    demo: Annotated[bool, typer.Option("--demo", help="Fill it with a lively example company.")] = False,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json",
            help="Print one line of JSON on stdout when it is ready; the lines about leads on stderr.",
        ),
    ] = False,
) -> None:
    """Start Leadline on this machine and keep it running.

    Ctrl-C finishes what is in hand, twice stops at once.
    """
    from leadline.runtime_file import Running, write_running
    from leadline.standalone import CannotStart, Options, Ready, Standalone
    from shared.db.embedded import EmbeddedUnavailable

    def announce(ready: Ready) -> None:
        write_running(data_dir, Running(ready.url, ready.keys, ready.database_url))
        if as_json:
            print_json(
                {"url": ready.url, "storage": ready.storage, "bus": ready.bus, "keys": dict(ready.keys)}
            )
        else:
            for line in welcome(ready, demo=demo, data_dir=data_dir):
                print(line, flush=True)

    def say(line: str) -> None:
        talk(f"leadline: {line}")

    async def follow(ready: Ready, stop: asyncio.Event) -> None:
        from leadline.follow import follow_leads

        show = talk if as_json else lambda line: print(line, flush=True)
        await follow_leads(show, data_dir)(ready, stop)

    options = Options(data_dir, host, port, checked_url(database), demo)
    _make_folder(data_dir)
    say("starting")
    try:
        asyncio.run(Standalone(options, say=say).run(announce, follow))
    except CannotStart as failed:
        raise CommandFailed(str(failed), UNREACHABLE, failed.fix) from failed
    except EmbeddedUnavailable as failed:
        raise CommandFailed(str(failed), UNREACHABLE) from failed
    say("stopped")


def _make_folder(data_dir: Path) -> None:
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=data_dir):
            return
    except OSError as refused:
        why = "it is not a folder" if data_dir.is_file() else refused.strerror
        raise CommandFailed(
            f"nothing can be kept in {data_dir}: {why}",
            USAGE,
            "--data-dir DIR, a folder of yours",
        ) from refused


def welcome(ready: "Ready", *, demo: bool, data_dir: Path = DEFAULT_DATA_DIR) -> list[str]:
    """Return the block that greets a newcomer: where everything is, and three things to try as they stand."""
    facts = {
        "url": ready.url,
        "form": f"{ready.url}/site/website/demo",
        "storage": ready.storage,
        "bus": ready.bus,
        **{f"{scope} key": secret for scope, secret in ready.keys.items()},
    }
    width = max(len(name) for name in facts)
    lines = ["", coloured("Leadline is ready", "1;32"), ""]
    lines += [f"  {name:<{width}}  {value}" for name, value in facts.items()]
    lines += ["", "Try:", ""]
    lines += [f"  {command}" for command in things_to_try(ready)]
    if data_dir.resolve() != DEFAULT_DATA_DIR.resolve():
        lines += ["", "For the other commands of `leadline` to find this one:", ""]
        lines += [f"  export LEADLINE_DATA_DIR={shlex.quote(str(data_dir.resolve()))}"]
    if demo:
        lines += ["", *DEMO]
    return [*lines, "", "What happens to leads follows here, one line each. Ctrl-C stops.", ""]


def things_to_try(ready: "Ready") -> list[str]:
    """Return three commands that work when pasted into another terminal."""
    form = '{"email": "ada@example.com", "message": "Please show me a demo"}'
    bearer = f"-H 'authorization: Bearer {ready.keys['read']}'"
    return [
        # The pause: the answer comes when the form is stored, the lead a moment later.
        f"curl -s {ready.url}/v1/forms/website -H 'content-type: application/json' -d '{form}' && sleep 1",
        f"curl -s {bearer} '{ready.url}/v1/leads?email=ada@example.com'",
        f"curl -s {bearer} {ready.url}/v1/handoffs",
    ]
