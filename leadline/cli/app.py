"""The tree of commands. A command's module is imported only when it is called, so that help is quick."""

import importlib
import importlib.metadata
import json
import socket
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from leadline.cli.exit_codes import BUG, CONFIG_INVALID, INTERRUPTED, OK, UNREACHABLE, CommandFailed
from shared.unusable_settings import UnusableSettings

# name: (module, one line of help). The module holds a Typer named `app` for a group of commands, else a
# function with the name of the command.
COMMANDS = {
    "up": ("up", "Start Leadline on this machine."),
    "api": ("serve", "Serve HTTP for all three services."),
    "work": ("serve", "Run the workers, relays and timers of all services."),
    "status": ("status", "Show counts, lags and ages of a running Leadline."),
    "doctor": ("doctor", "Check the installation; with --reconcile the data too."),
    "config": ("config", "Lint, push and show sources, models and policies."),
    "keys": ("keys", "Create, list and revoke API keys."),
    "db": ("db", "Upgrade, downgrade and check the database."),
    "topics": ("topics", "Topics on Kafka: create, check, lag."),
    "deadletters": ("deadletters", "Messages that could not be handled: list, replay..."),
    "quarantine": ("quarantine", "Submissions that could not be mapped: list, repair..."),
    "events": ("events", "Follow the feed of hand-offs and SLA events."),
    "lead": ("lead", "Show everything about one lead."),
    "explain": ("explain", "Say why a lead has its score or its salesperson."),
    "sla": ("sla", "Check SLA deadlines against a file of cases."),
    "replay": ("replay", "Post recorded events of a real shop over HTTP."),
    "version": ("version", "Show the version."),
}


def build(wanted: str | None) -> typer.Typer:
    """Return the command tree in which only the command `wanted` is real; the others have their help line."""
    app = typer.Typer(
        name="leadline",
        help="Leadline: scores leads, hands them to sales under an SLA clock, takes back what sales rejects.",
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )

    @app.callback()
    def root(
        version: Annotated[
            bool, typer.Option("--version", help="Show the version.", callback=_version, is_eager=True)
        ] = False,
    ) -> None:
        """Keep the tree a group even where it has one command."""

    for name, (module_name, line) in COMMANDS.items():
        if not Path(__file__).with_name(f"{module_name}.py").exists():
            continue
        if name != wanted:
            app.command(name, help=line)(_stub)
            continue
        module = importlib.import_module(f"leadline.cli.{module_name}")
        if hasattr(module, "app"):
            app.add_typer(module.app, name=name, help=line)
        else:
            app.command(name, help=line)(getattr(module, name))
    return app


def _version(wanted: bool) -> None:
    if wanted:
        print(f"leadline {importlib.metadata.version('leadline')}")
        raise typer.Exit


def _stub() -> None:
    raise AssertionError("only the command that is called is imported")


def run(arguments: Sequence[str]) -> int:
    """Run the command line; return its exit status (see `exit_codes`)."""
    as_json = "--json" in arguments
    wanted = next((word for word in arguments if not word.startswith("-")), None)
    try:
        build(wanted)(args=list(arguments), prog_name="leadline")
    except CommandFailed as failed:
        _tell(failed, as_json=as_json)
        return failed.code
    except UnusableSettings as unusable:
        _tell(CommandFailed(str(unusable), CONFIG_INVALID), as_json=as_json)
        return CONFIG_INVALID
    except KeyboardInterrupt:
        return INTERRUPTED
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else OK
    except Exception as fault:
        if _database_is_away(fault):
            _tell(
                CommandFailed(
                    f"the database says no: {fault}",
                    UNREACHABLE,
                    "is the server up, and its URL right? (--database)",
                ),
                as_json=as_json,
            )
            return UNREACHABLE
        traceback.print_exc()
        print("leadline: this is a bug; please report the lines above", file=sys.stderr)
        return BUG
    return OK


def _database_is_away(fault: Exception) -> bool:
    # Told by name, so that help need not import the driver: wrong password, no such database, odd URL.
    names = (
        "InvalidPasswordError",
        "InvalidAuthorizationSpecificationError",
        "InvalidCatalogNameError",
        "ClientConfigurationError",
        "CannotConnectNowError",
        "TooManyConnectionsError",
    )
    away = (ConnectionError, TimeoutError, socket.gaierror)
    return isinstance(fault, away) or type(fault).__name__ in names


def _tell(failed: CommandFailed, *, as_json: bool) -> None:
    if as_json:
        answer = {"error": str(failed), "code": failed.code, "fix": failed.fix, "errors": failed.errors}
        print(json.dumps({name: value for name, value in answer.items() if value}), file=sys.stderr)
        return
    print(f"leadline: {failed}", file=sys.stderr)
    if failed.fix:
        print(f"  try: {failed.fix}", file=sys.stderr)
