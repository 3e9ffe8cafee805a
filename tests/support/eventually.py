"""Waiting for real processes: a condition, a deadline, and what was last seen when it passes."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar, overload

T = TypeVar("T")

FIRST_PAUSE_SECONDS = 0.01
LONGEST_PAUSE_SECONDS = 0.25


@overload
async def eventually(
    condition: Callable[[], Coroutine[Any, Any, T]], *, timeout_seconds: float = 10.0, what: str = ""
) -> T: ...


@overload
async def eventually(condition: Callable[[], T], *, timeout_seconds: float = 10.0, what: str = "") -> T: ...


async def eventually(condition: Callable[[], Any], *, timeout_seconds: float = 10.0, what: str = "") -> Any:
    """Call `condition` (plain or async) until its result is truthy and return that result.

    An AssertionError it raises counts as "not yet". Fails at the deadline, telling what was last seen.
    """
    deadline = time.monotonic() + timeout_seconds
    pause = FIRST_PAUSE_SECONDS
    while True:
        last: object
        try:
            found = condition()
            value = await found if isinstance(found, Awaitable) else found
            if value:
                return value
            last = value
        except AssertionError as not_yet:
            last = not_yet
        if time.monotonic() >= deadline:
            raise AssertionError(f"not within {timeout_seconds} s: {what or condition}; last seen: {last!r}")
        await asyncio.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE_SECONDS)


def eventually_sync(condition: Callable[[], T], *, timeout_seconds: float = 10.0, what: str = "") -> T:
    """The same for tests without an event loop."""
    deadline = time.monotonic() + timeout_seconds
    pause = FIRST_PAUSE_SECONDS
    while True:
        last: object
        try:
            found = condition()
            if found:
                return found
            last = found
        except AssertionError as not_yet:
            last = not_yet
        if time.monotonic() >= deadline:
            raise AssertionError(f"not within {timeout_seconds} s: {what or condition}; last seen: {last!r}")
        time.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
