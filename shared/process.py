"""One process with one or more parts: HTTP, workers, relays, timers.

Crash-only: a part that fails ends the process, and whoever supervises starts it again. The first SIGTERM
or SIGINT drains, the second stops at once.
"""

import argparse
import asyncio
import gc
import os
import signal
import socket
import sys
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast, get_args

import structlog

from shared.runtime import RoleName, Runner, WiredService
from shared.unusable_settings import UnusableSettings

if TYPE_CHECKING:
    from shared.settings import ServiceSettings

log = structlog.get_logger()

# A batch is at most half a second of work; what has not ended by then is stuck, and its successor redoes it.
DRAIN_SECONDS = 10.0
STOPPED_BY_SECOND_SIGNAL = 130
# New objects beyond those gone, after which the garbage collector looks for cycles among the young ones.
YOUNG_OBJECTS = 50_000
# Whoever stops a group of processes may reach one of them twice, directly and through its parent.
ONE_SIGNAL_SECONDS = 0.3
# The end of this pipe is held by the supervisor alone: it closes when the supervisor dies, however it dies.
PARENT_PIPE_VARIABLE = "LEADLINE_PARENT_PIPE"
# The end of this one closes when what the process stands on is there: until then it only loads its code.
GATE_PIPE_VARIABLE = "LEADLINE_GATE_PIPE"

SettingsT = TypeVar("SettingsT", bound="ServiceSettings")
GivenT = TypeVar("GivenT", contravariant=True)


class RoleEnded(RuntimeError):
    """A role returned although nobody asked it to stop."""


class Wire(Protocol[GivenT]):
    """`services/<x>/bootstrap.py:wire`, with its own bus and the system's clock."""

    def __call__(self, settings: GivenT) -> AbstractAsyncContextManager[WiredService]: ...


def listen(host: str, port: int) -> socket.socket:
    """Return a socket bound to `host` and `port` (0: any free one); OSError where that is impossible."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=2048)


async def run_roles(runners: Sequence[tuple[str, Runner]], stop: asyncio.Event) -> None:
    """Run all until `stop` is set and all have finished; the first to raise ends all and is raised.

    What has not finished `DRAIN_SECONDS` after `stop` is cancelled.
    """

    async def one(name: str, runner: Runner) -> None:
        await runner.run(stop)
        if not stop.is_set():
            raise RoleEnded(f"{name} ended although nobody asked it to")

    tasks = [asyncio.create_task(one(name, runner), name=name) for name, runner in runners]
    stopping = asyncio.create_task(stop.wait())
    try:
        done, _ = await asyncio.wait([*tasks, stopping], return_when=asyncio.FIRST_COMPLETED)
        if stopping in done and tasks:
            _, late = await asyncio.wait(tasks, timeout=DRAIN_SECONDS)
            for task in late:
                log.warning("process.role_did_not_drain", role=task.get_name())
    finally:
        await _cancel([*tasks, stopping])
    for task in tasks:
        if not task.cancelled() and (fault := task.exception()):
            raise fault


async def _cancel(tasks: Sequence[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    # A part that swallows its cancellation must not keep the process alive.
    await asyncio.wait(tasks, timeout=DRAIN_SECONDS)


def _nothing() -> None:
    """Leave nothing behind that would have to be ended first."""


def _note_draining() -> None:
    log.info("process.draining")


@asynccontextmanager
async def stop_on_signals(
    *, draining: Callable[[], None] = _note_draining, at_once: Callable[[], None] = _nothing
) -> AsyncIterator[asyncio.Event]:
    """Give an event that the first SIGTERM or SIGINT sets; the second ends the process where it stands.

    `draining` is called at the first, `at_once` just before the end at the second.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    first_at = 0.0

    def on_signal() -> None:
        nonlocal first_at
        if not stop.is_set():
            first_at = loop.time()
            draining()
            stop.set()
        elif loop.time() - first_at > ONE_SIGNAL_SECONDS:
            at_once()
            os._exit(STOPPED_BY_SECOND_SIGNAL)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    try:
        yield stop
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


def follow_parent() -> None:
    """End this process soon after its supervisor is gone, where one has left a pipe to tell by."""
    descriptor = os.environ.pop(PARENT_PIPE_VARIABLE, "")
    if not descriptor:
        return

    def watch() -> None:
        while os.read(int(descriptor), 1):
            continue
        os.kill(os.getpid(), signal.SIGTERM)
        threading.Timer(DRAIN_SECONDS, os._exit, args=(1,)).start()

    threading.Thread(target=watch, name="follow-parent", daemon=True).start()


async def gate_open(stop: asyncio.Event) -> None:
    """Wait until the supervisor opens the gate, where it has made one, or until `stop`."""
    descriptor = os.environ.pop(GATE_PIPE_VARIABLE, "")
    if not descriptor:
        return
    loop, opened = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(int(descriptor), opened.set)
    waits = [asyncio.create_task(event.wait()) for event in (opened, stop)]
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()
    loop.remove_reader(int(descriptor))
    os.close(int(descriptor))


def run_process(main: Callable[[asyncio.Event], Any]) -> int:
    """Run the coroutine function `main(stop)` on uvloop under the signal rules; return the exit status."""

    async def body() -> None:
        async with stop_on_signals() as stop:
            await gate_open(stop)
            if not stop.is_set():
                await main(stop)

    follow_parent()
    collect_seldom()
    try:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            runner.run(body())
    except UnusableSettings as unusable:
        # Type and place of this fault would not say what to mend.
        log.critical("process.unusable_settings", reason=unusable.faults)
        return 1
    except Exception:
        log.exception("process.failed")
        return 1
    return 0


def collect_seldom() -> None:
    """Let the garbage collector look at less and less often; call it once the code is loaded.

    A batch makes some 30,000 objects that live as long as it does and no cycles: with the interpreter's own
    threshold of 700 a worker spent a quarter of its time walking them in vain.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, 10, 10)


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return what makes our event loops; None for the interpreter's own."""
    if sys.platform == "win32":
        return None
    import uvloop

    return uvloop.new_event_loop


def parse_roles(arguments: Sequence[str] | None, *, program: str) -> tuple[argparse.Namespace, list[str]]:
    """Read `--role` (repeatable), `--host` and `--port` of `python -m services.<x>`."""
    parser = argparse.ArgumentParser(prog=program)
    roles = ("api", *get_args(RoleName))
    parser.add_argument("--role", action="append", required=True, choices=roles, help="repeat for several")
    parser.add_argument("--host", default="127.0.0.1", help="where the api role listens")
    parser.add_argument("--port", type=int, default=8080, help="where the api role listens")
    options = parser.parse_args(arguments)
    return options, list(dict.fromkeys(options.role))


def run_service(
    wire: Wire[SettingsT], settings_class: type[SettingsT], arguments: Sequence[str] | None = None
) -> int:
    """Run the roles that the command line names, of one service; return the exit status."""
    # Here, since a supervisor imports this module too and serves nothing itself.
    from shared.http_server import ApiServer, answering_meanwhile
    from shared.observability.logging import configure_logging
    from shared.patience import enter_when_there

    options, roles = parse_roles(arguments, program=wire.__module__.removesuffix(".bootstrap"))
    try:
        settings = settings_class()
    except UnusableSettings as unusable:
        print(f"{wire.__module__.removesuffix('.bootstrap')}: {unusable}", file=sys.stderr)
        return 1
    configure_logging(settings.log_level, settings.log_format)

    async def main(stop: asyncio.Event) -> None:
        async with AsyncExitStack() as stack:
            listener = listen(options.host, options.port) if "api" in roles else None
            async with answering_meanwhile(listener) if listener else nullcontext():
                service = await enter_when_there(stack, lambda: wire(settings), stop)
            if service is None:
                return
            runners: list[tuple[str, Runner]] = [
                (role, service.roles[cast(RoleName, role)]) for role in roles if role != "api"
            ]
            if listener is not None:
                runners.append(("api", ApiServer(service.api, listener)))
            await run_roles(runners, stop)

    return run_process(main)
