"""A line to a server that can be spoilt: slow, dribbling, silent in one or both directions, reset, lost."""

import asyncio
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

# `reset`: every connection is torn down, new ones work. `lost`: none is let through. `half_open`: taken and
# never answered. `one_way`: the server hears everything, its answers do not arrive. `trickle`: byte by byte.
State = Literal["whole", "delay", "reset", "lost", "half_open", "one_way", "trickle"]
# A socket's file, or a port of the loopback.
Endpoint = Path | int

DELAY_SECONDS = 0.4
LOOK_SECONDS = 0.02
TRICKLE_SECONDS = 0.002
# Closed like this a connection sends a reset instead of an orderly end.
AT_ONCE = struct.pack("ii", 1, 0)


class FaultLine:
    """Listens at one endpoint and passes everything on to the other; `delay` is in seconds, both ways."""

    def __init__(self, listen: Endpoint, server: Endpoint) -> None:
        self.delay = 0.0
        self._state: State = "whole"
        self._listen = listen
        self._server = server
        self._writers: set[asyncio.StreamWriter] = set()
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def open(self) -> None:
        """Return when it listens. It has a thread of its own: whoever starts a process waits for that."""
        self._thread.start()
        assert self._ready.wait(10)

    def close(self) -> None:
        """Cut everything."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    def become(self, state: State) -> None:
        """Spoil the line, or make it whole again."""
        self.delay = DELAY_SECONDS if state == "delay" else 0.0
        self._state = state
        if state in ("reset", "lost"):
            self._loop.call_soon_threadsafe(self._tear)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        if isinstance(self._listen, int):
            listening = await asyncio.start_server(self._line, "127.0.0.1", self._listen)
        else:
            listening = await asyncio.start_unix_server(self._line, self._listen)
        self._ready.set()
        await self._stop.wait()
        listening.close()

    def _tear(self) -> None:
        for writer in self._writers:
            _reset(writer)

    async def _line(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends = [writer]
        self._writers.add(writer)
        try:
            with suppress(OSError, asyncio.CancelledError):
                await self._passable(writer)
                answers, asks = await self._connect()
                ends.append(asks)
                self._writers.add(asks)
                await asyncio.gather(
                    self._pump(reader, asks, back=False), self._pump(answers, writer, back=True)
                )
        finally:
            self._writers.difference_update(ends)
            for end in ends:
                end.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if isinstance(self._server, int):
            return await asyncio.open_connection("127.0.0.1", self._server)
        return await asyncio.open_unix_connection(self._server)

    async def _passable(self, writer: asyncio.StreamWriter) -> None:
        """Wait while a new connection is not answered; ConnectionResetError where none is let through."""
        while self._state == "half_open":  # noqa: ASYNC110 told by another thread
            await asyncio.sleep(LOOK_SECONDS)
        if self._state == "lost":
            _reset(writer)
            raise ConnectionResetError

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, back: bool) -> None:
        try:
            while data := await reader.read(65_536):
                await asyncio.sleep(self.delay)
                while self._state == "half_open" or (self._state == "one_way" and back):  # noqa: ASYNC110
                    await asyncio.sleep(LOOK_SECONDS)
                while self._state == "trickle" and data:
                    writer.write(data[:1])
                    # Raises where the other end has gone.
                    await writer.drain()
                    data = data[1:]
                    await asyncio.sleep(TRICKLE_SECONDS)
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()


def _reset(writer: asyncio.StreamWriter) -> None:
    connection = writer.get_extra_info("socket")
    if connection is not None and connection.family == socket.AF_INET:
        with suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
    writer.transport.abort()


@contextmanager
def fault_line(listen: Endpoint, server: Endpoint) -> Iterator[FaultLine]:
    """A line that is whole until it is spoilt."""
    line = FaultLine(listen, server)
    line.open()
    try:
        yield line
    finally:
        line.close()
