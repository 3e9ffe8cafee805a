"""The HTTP part of a process: uvicorn under the process's own signal rules."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import uvicorn
from starlette.types import ASGIApp

from shared.process import DRAIN_SECONDS
from shared.web.not_yet import not_yet

# A start that goes well is quicker than this, and its first clients need not hear that it is starting.
SILENT_SECONDS = 0.5


class _Server(uvicorn.Server):
    """uvicorn without its own signal handlers: the process has one place that listens to signals."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class ApiServer:
    """Serves `app` on `listener` as a Runner."""

    def __init__(self, app: ASGIApp, listener: socket.socket) -> None:
        self._app = app
        self._listener = listener

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop` is set, then finish the requests in hand."""
        server = _Server(
            uvicorn.Config(
                self._app,
                http="httptools",
                lifespan="on",
                access_log=False,
                log_config=None,
                server_header=False,
                timeout_graceful_shutdown=int(DRAIN_SECONDS) - 2,
            )
        )

        async def end_when_asked() -> None:
            await stop.wait()
            server.should_exit = True

        watcher = asyncio.create_task(end_when_asked())
        try:
            await server.serve(sockets=[self._listener])
        except SystemExit as failed:
            raise RuntimeError("the HTTP application did not start") from failed
        finally:
            watcher.cancel()


@asynccontextmanager
async def answering_meanwhile(listener: socket.socket, app: ASGIApp = not_yet) -> AsyncIterator[None]:
    """While open, `app` answers at `listener` (503 by default), once that takes longer than a usual start.

    The socket is another process's too, or was open before: without this its clients would hear nothing.
    """
    over = asyncio.Event()
    answering = asyncio.create_task(_answer(listener, app, over))
    try:
        yield
    finally:
        over.set()
        await answering


async def _answer(listener: socket.socket, app: ASGIApp, over: asyncio.Event) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(over.wait(), SILENT_SECONDS)
    if not over.is_set():
        # A copy: the server closes the sockets it was given.
        await ApiServer(app, listener.dup()).run(over)
