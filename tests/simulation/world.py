"""Processes that crash, freeze and start again; calls between them that fail, delay, lose their answer."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import ContextVar, copy_context
from dataclasses import dataclass, field
from typing import Any, TypeVar

T = TypeVar("T")

RESTART_SECONDS = (0.1, 3.0)
FREEZE_SECONDS = (0.5, 15.0)


class Crashed(BaseException):
    """The process is dead: what it still tries has no effect. No Exception, so that nobody handles it."""


@dataclass(frozen=True, slots=True)
class Dice:
    """How often what happens at a call: shares of all calls."""

    fail: float = 0.02
    lose: float = 0.02
    delay: float = 0.05
    crash: float = 0.004
    freeze: float = 0.002


CALM = Dice(0.0, 0.0, 0.0, 0.0, 0.0)


@dataclass(eq=False)
class Process:
    """One process. `main` is what it runs, anew after each crash."""

    name: str
    main: Callable[[], Coroutine[Any, Any, None]]
    thawed: asyncio.Event = field(default_factory=asyncio.Event)
    task: "asyncio.Task[None] | None" = None


# The life of a process, not the process: what was started before its crash stays dead.
_HERE: ContextVar["Life | None"] = ContextVar("process", default=None)


@dataclass(eq=False)
class Life:
    """From one start of a process to its crash."""

    process: Process
    over: bool = False
    # How often it was frozen, and what has to be told of its end.
    freezes: int = 0
    died: list[Callable[[], None]] = field(default_factory=list)


class World:
    """Everything that a seed decides. `trace` has a line for each call."""

    def __init__(self, seed: int, dice: Dice, *, crash_at: int | None = None) -> None:
        self.rng = random.Random(f"simulation {seed}")
        self.dice = dice
        self.trace: list[str] = []
        self.faults: list[str] = []
        # The longest answer of a process that was not frozen meanwhile.
        self.slowest = 0.0
        self._crash_at = crash_at
        self.calls = 0
        self._processes: list[Process] = []
        self._lives: dict[str, Life] = {}

    @property
    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def start(self, name: str, main: Callable[[], Coroutine[Any, Any, None]]) -> Process:
        """Start a process that is started again whenever it ends."""
        process = Process(name, main)
        process.thawed.set()
        self._processes.append(process)
        self._begin(process)
        return process

    def calm(self) -> None:
        """Let nothing go wrong any more, and what is frozen go on."""
        self.dice = CALM
        for process in self._processes:
            process.thawed.set()

    async def asked(
        self, name: str, work: Coroutine[Any, Any, None], refusal: type[Exception]
    ) -> bool | None:
        """Let a process do something for a client; False where it refuses, None where no answer comes."""
        life = self._lives[name]
        context = copy_context()
        context.run(_HERE.set, life)
        task = asyncio.get_running_loop().create_task(work, context=context)
        life.died.append(task.cancel)  # type: ignore[arg-type]
        freezes, began = life.freezes, self.now
        await asyncio.wait([task], timeout=60.0)
        if not task.done() or life.over or task.cancelled():
            task.cancel()
            return None
        if life.freezes == freezes:
            self.slowest = max(self.slowest, self.now - began)
        if isinstance(fault := task.exception(), refusal):
            return False
        if fault is not None:
            self.faults.append(f"{name} answered with {fault!r}")
        return fault is None

    def say(self, what: str) -> None:
        """Add a line to the trace."""
        life = _HERE.get()
        self.trace.append(f"{self.now:9.4f} {life.process.name if life else '-':<10} {what}")

    async def call(self, what: str, effect: Callable[[], Awaitable[T]], fault: Callable[[], Exception]) -> T:
        """Make a call to somebody else: its effect is there or not, and its answer arrives or not."""
        life = _HERE.get()
        await self._wait(life)
        if self.rng.random() < self.dice.delay:
            await asyncio.sleep(self.rng.choice((0.001, 0.05, 0.3, 1.0, 6.0)))
        else:
            await asyncio.sleep(self.rng.uniform(0.0001, 0.003))
        await self._wait(life)
        self.strike(f"before {what}")
        if self.rng.random() < self.dice.fail:
            self.say(f"{what}: refused")
            raise fault()
        result = await effect()
        self.say(what)
        self.strike(f"after {what}")
        if self.rng.random() < self.dice.lose:
            self.say(f"{what}: answer lost")
            raise fault()
        await self._wait(life)
        return result

    def strike(self, where: str) -> None:
        """Perhaps crash the process that runs, or freeze it; raise Crashed where it is dead."""
        life = _HERE.get()
        if life is None:
            return
        if life.over:
            raise Crashed
        self.calls += 1
        if self.calls == self._crash_at or self.rng.random() < self.dice.crash:
            self.say(f"CRASH {where}")
            self._end(life)
            raise Crashed
        if self.rng.random() < self.dice.freeze:
            self.say(f"FREEZE {where}")
            self._freeze(life)

    async def _wait(self, life: Life | None) -> None:
        """Wait while the process is frozen; raise Crashed where it is dead."""
        if life is not None:
            if not life.over:
                await life.process.thawed.wait()
            if life.over:
                raise Crashed

    def _begin(self, process: Process) -> None:
        life = Life(process)
        self._lives[process.name] = life

        async def live() -> None:
            _HERE.set(life)
            try:
                await process.main()
            except (Crashed, asyncio.CancelledError):
                pass
            except BaseException as bug:
                self.faults.append(f"{process.name} ended with {bug!r}")
            if not life.over:
                self._end(life)

        process.task = asyncio.get_running_loop().create_task(live())

    def _end(self, life: Life) -> None:
        """End a life as SIGKILL does, and begin the next one after a while."""
        process = life.process
        life.over = True
        process.thawed.set()
        for tell in life.died:
            tell()
        loop = asyncio.get_running_loop()
        loop.call_later(self.rng.uniform(*RESTART_SECONDS), self._begin, process)
        # Its tasks find out at their next call; those that wait for each other alone are ended.
        if process.task is not None and process.task is not asyncio.current_task():
            process.task.cancel()

    def _freeze(self, life: Life) -> None:
        life.freezes += 1
        life.process.thawed.clear()
        loop = asyncio.get_running_loop()
        loop.call_later(self.rng.uniform(*FREEZE_SECONDS), life.process.thawed.set)

    def on_death(self, tell: Callable[[], None]) -> None:
        """Call `tell` when the process that runs dies."""
        life = _HERE.get()
        if life is not None:
            life.died.append(tell)
