"""Group commit: appends that arrive while one is under way go together in the next."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from shared.bus.port import BusUnavailable, Outgoing

MAX_MESSAGES = 1000
MAX_BYTES = 4 * 1024 * 1024
# From so many callers on a pause before the next send pays: more of them share its fixed cost.
CROWD = 8


@dataclass(frozen=True, slots=True, eq=False)
class Waiting:
    """One caller's messages and the future it waits for."""

    messages: Sequence[Outgoing]
    done: "asyncio.Future[None]"


def _end_late(done: "asyncio.Future[None]") -> None:
    if not done.done():
        done.set_exception(BusUnavailable("the append took too long"))


class GroupCommit:
    """Gathers concurrent `append` calls into calls of `send` (one at a time, in order of arrival).

    A failed `send` fails everybody who waits at that moment, so that a queue never adds up time-outs.
    `pause` is awaited between two sends while there is a crowd; whoever comes alone is sent on at once.
    """

    def __init__(
        self,
        send: Callable[[Sequence[Outgoing]], Awaitable[None]],
        *,
        seconds: float,
        pause: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._send = send
        self._seconds = seconds
        self._pause = pause
        self._waiting: list[Waiting] = []
        self._sender: asyncio.Task[None] | None = None

    async def append(self, messages: Sequence[Outgoing]) -> None:
        """Return once the messages are durable; raise what `send` raised, or BusUnavailable when late."""
        loop = asyncio.get_running_loop()
        mine = Waiting(messages, loop.create_future())
        self._waiting.append(mine)
        if self._sender is None or self._sender.done():
            self._sender = asyncio.create_task(self._run())
        # A timer on the future, not `asyncio.timeout` around it: every event that comes in waits here.
        timer = loop.call_later(self._seconds, _end_late, mine.done)
        try:
            await mine.done
        except BaseException:
            with suppress(ValueError):
                self._waiting.remove(mine)
            raise
        finally:
            timer.cancel()

    async def close(self) -> None:
        """Wait for the append under way, fail those that have not begun."""
        self._fail(self._take(everything=True), BusUnavailable("the bus is closed"))
        if self._sender is not None:
            await asyncio.wait([self._sender])

    async def _run(self) -> None:
        while batch := self._take():
            try:
                await self._send([message for waiting in batch for message in waiting.messages])
            except Exception as fault:
                self._fail([*batch, *self._take(everything=True)], fault)
            else:
                for waiting in batch:
                    if not waiting.done.done():
                        waiting.done.set_result(None)
            if self._pause is not None and len(batch) >= CROWD:
                await self._pause()

    def _take(self, *, everything: bool = False) -> list[Waiting]:
        taken: list[Waiting] = []
        count = size = 0
        for waiting in self._waiting:
            count += len(waiting.messages)
            size += sum(len(message.value) for message in waiting.messages)
            if taken and not everything and (count > MAX_MESSAGES or size > MAX_BYTES):
                break
            taken.append(waiting)
        del self._waiting[: len(taken)]
        return taken

    @staticmethod
    def _fail(failed: Sequence[Waiting], fault: Exception) -> None:
        for waiting in failed:
            if not waiting.done.done():
                waiting.done.set_exception(fault)
