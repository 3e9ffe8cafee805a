"""`leadline up`: what it prints. What it does is in `leadline.standalone`."""

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from leadline.cli.exit_codes import UNREACHABLE, CommandFailed
from leadline.cli.options import DEFAULT_DATA_DIR, AsJson, DatabaseUrl, DataDir
from leadline.cli.output import coloured, print_json, talk

if TYPE_CHECKING:
    from leadline.standalone import Ready


DEMO = (
    "This is an example company with a month of history, invented visitors, salespeople and a CRM. Its SLA",
    "targets are seconds to minutes instead of hours, so every kind of event shows within three minutes.",
)


def up(
    data_dir: DataDir = DEFAULT_DATA_DIR,
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = 8080,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    database: DatabaseUrl = None,
    demo: Annotated[bool, typer.Option("--demo", help="Fill it with a lively example company.")] = False,
    as_json: AsJson = False,
) -> None:
    """Start Leadline on this machine and keep it running.

    Ctrl-C finishes what is in hand, twice stops at once.
    """
    from leadline.runtime_file import Running, write_running
    from leadline.standalone import CannotStart, Options, Ready, Standalone

    def announce(ready: Ready) -> None:
        write_running(data_dir, Running(ready.url, ready.keys, ready.database_url))
        if as_json:
            print_json(
                {"url": ready.url, "storage": ready.storage, "bus": ready.bus, "keys": dict(ready.keys)}
            )
        else:
            for line in welcome(ready, demo=demo):
                print(line, flush=True)

    def say(line: str) -> None:
        talk(f"leadline: {line}")

    async def follow(ready: Ready, stop: asyncio.Event) -> None:
        from leadline.follow import follow_leads

        show = talk if as_json else lambda line: print(line, flush=True)
        await follow_leads(show, data_dir)(ready, stop)

    options = Options(data_dir, host, port, database, demo)
    say("starting")
    try:
        asyncio.run(Standalone(options, say=say).run(announce, follow))
    except CannotStart as failed:
        raise CommandFailed(str(failed), UNREACHABLE, failed.fix) from failed
    say("stopped")


def welcome(ready: "Ready", *, demo: bool) -> list[str]:
    """Return the block that greets a newcomer: where everything is, and three things to try as they stand."""
    facts = {
        "url": ready.url,
        "site": f"{ready.url}/site",
        "storage": ready.storage,
        "bus": f"{ready.bus} (in the same database)",
        **{f"{scope} key": secret for scope, secret in ready.keys.items()},
    }
    width = max(len(name) for name in facts)
    lines = ["", coloured("Leadline is ready", "1;32"), ""]
    lines += [f"  {name:<{width}}  {value}" for name, value in facts.items()]
    lines += ["", "Try:", ""]
    lines += [f"  {command}" for command in things_to_try(ready)]
    if demo:
        lines += ["", *DEMO]
    return [*lines, "", "What happens to leads follows here, one line each. Ctrl-C stops.", ""]


def things_to_try(ready: "Ready") -> list[str]:
    """Return three commands that work when pasted into another terminal."""
    form = '{"email": "ada@example.com", "message": "Please show me a demo"}'
    bearer = f"-H 'authorization: Bearer {ready.keys['read']}'"
    return [
        f"curl -s {ready.url}/v1/forms/website -H 'content-type: application/json' -d '{form}'",
        f"curl -s {bearer} '{ready.url}/v1/leads?email=ada@example.com'",
        f"curl -s {bearer} {ready.url}/v1/handoffs",
    ]
