"""A PostgreSQL server seen through a slow line: each piece of data takes `delay` seconds, both ways."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


class SlowLine:
    """Listens in `folder` as a server would, and passes everything on to the server's own socket."""

    def __init__(self, folder: Path, server: Path) -> None:
        self.delay = 0.0
        self._socket = folder / ".s.PGSQL.5432"
        self._server = server
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def open(self) -> None:
        """Return when it listens. It has a thread of its own: whoever starts a process waits for that."""
        self._thread.start()
        assert self._ready.wait(10)

    def close(self) -> None:
        """Cut all lines."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        listening = await asyncio.start_unix_server(self._line, self._socket)
        self._ready.set()
        await self._stop.wait()
        listening.close()

    async def _line(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.CancelledError):
            answers, asks = await asyncio.open_unix_connection(self._server)
            await asyncio.gather(self._pump(reader, asks), self._pump(answers, writer))

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65_536):
                await asyncio.sleep(self.delay)
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()


@contextmanager
def slow_line(folder: Path, server: Path) -> Iterator[SlowLine]:
    """A line that is fast until its `delay` is set."""
    line = SlowLine(folder, server)
    line.open()
    try:
        yield line
    finally:
        line.close()
