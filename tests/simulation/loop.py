"""An event loop whose clock jumps to the next timer: nothing waits, and the same seed gives the same run."""

import asyncio
import contextvars
import selectors
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from typing import Any, TypeVar

T = TypeVar("T")
TICK_SECONDS = 1e-6


class NothingLeft(RuntimeError):
    """Everybody waits for somebody, and no timer will wake them."""


class _Jump(selectors.BaseSelector):
    """A selector without files, for which waiting is moving the clock."""

    def __init__(self) -> None:
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise NothingLeft(f"at {self.now:.3f} s")
        # Time goes on while anything is done: whoever waits for an instant gets there.
        self.now += timeout + TICK_SECONDS
        return []

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return selectors.SelectorKey(fileobj, -1, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return selectors.SelectorKey(fileobj, -1, 0, None)

    def get_key(self, fileobj: Any) -> selectors.SelectorKey:
        raise KeyError(fileobj)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return {}


class VirtualLoop(asyncio.SelectorEventLoop):
    """Real asyncio on a virtual clock, seconds from 0. What belongs in a thread is done a little later."""

    def __init__(self, delay: Callable[[], float]) -> None:
        self._jump = _Jump()
        self._delay = delay
        super().__init__(self._jump)

    def time(self) -> float:
        return self._jump.now

    def run_in_executor(  # type: ignore[override]
        self, executor: Executor | None, func: Callable[..., T], *args: Any
    ) -> "asyncio.Future[T]":
        del executor
        done: asyncio.Future[T] = self.create_future()
        context = contextvars.copy_context()

        def work() -> None:
            try:
                result = context.run(func, *args)
            except BaseException as fault:
                if not done.done():
                    done.set_exception(fault)
            else:
                if not done.done():
                    done.set_result(result)

        self.call_later(self._delay(), work)
        return done
