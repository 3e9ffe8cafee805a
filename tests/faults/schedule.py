"""Which process is struck when and how: drawn from a seed, each in turn, with calm between the rounds."""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

Spoilt = Literal["delay", "reset", "lost", "half_open", "one_way", "trickle"]
Wrong = Literal["ahead", "behind", "a_second_ahead", "a_second_behind"]
# `cut`: PostgreSQL ends the connections of everybody, as an administrator does. `full`: a disk takes nothing
# more. `upgrade`: the schema of a next release, and every process ended and started on it in turn. The others
# spoil a line, or set a clock wrong.
How = Literal["kill", "freeze", "freeze_and_kill", "cut", "full", "upgrade"] | Spoilt | Wrong
Blow = tuple[How, str]
BLOWS: tuple[Blow, ...] = (("kill", "all"), ("kill", "all"), ("freeze", "all"), ("freeze_and_kill", "all"))
# A host is lost with all that runs on it.
HOST_BLOWS: tuple[Blow, ...] = (*BLOWS, ("kill", "all"))
# Killed, a server loses all its processes, its first one, or one that serves a connection: three recoveries.
SERVER_BLOWS: tuple[Blow, ...] = (*BLOWS[1:], ("kill", "first"), ("kill", "one"), ("cut", "all"))
LINE_BLOWS: tuple[Blow, ...] = tuple((how, "all") for how in get_args(Spoilt))
CLOCK_BLOWS: tuple[Blow, ...] = tuple((how, "all") for how in get_args(Wrong))
DISK_BLOWS: tuple[Blow, ...] = (("full", "all"),)
AT_ONCE = ("kill", "cut", "reset")
HELD_SECONDS = (0.3, 1.0, 2.5, 4.0, 7.0)
# A spool is written to while these are away, so that nobody would notice a full one otherwise.
SPOOL_DISK = "disk-spool"
FILL_THE_SPOOL = ("postgres", "brokers", "line-to-database", "line-to-brokers")
# A host has processes that are victims of their own.
HOST = "host-"
# All victims at once, for longer than the gap in the heartbeat that is an outage.
EVERYTHING = "everything"
OUTAGE_SECONDS = (62.0, 68.0)
# Of a hundred blows this many meet a second victim while the first is frozen or recovers.
DOUBLE_PERCENT = 25


@dataclass(frozen=True, slots=True)
class Fault:
    """After `pause` seconds strike `victim`; one that is frozen or spoilt is held for `held` seconds.

    `then`: a second blow, its pause counted from when the first victim is frozen or has been killed.
    """

    pause: float
    victim: str
    how: How
    held: float
    part: str = "all"
    then: "Fault | None" = None


def faults(seed: int, victims: Sequence[str], *, calm: float = 8.0) -> Iterator[Fault]:
    """Give faults without end; in each round every victim once. Each round after the first starts calm."""
    rng = random.Random(f"faults {seed}")
    dealers = {victim: _deal(rng, _blows(victim)) for victim in victims}

    def draw(victim: str, pause: float, then: Fault | None = None) -> Fault:
        how, part = next(dealers[victim])
        # Processes look at a clock that was set each second, and a disk is full when something was written.
        choice = HELD_SECONDS[2:] if victim.startswith(("clock-", "disk-")) else HELD_SECONDS
        held = 0.0 if how in AT_ONCE else rng.choice(choice)
        return Fault(pause, victim, how, held, part, then)

    pause = 0.0
    while True:
        for victim in rng.sample(victims, len(victims)):
            then = None
            if victim == SPOOL_DISK:
                then = draw(rng.choice([one for one in victims if one in FILL_THE_SPOOL]), 0.0)
            elif rng.randrange(100) < DOUBLE_PERCENT:
                # A supervisor comes back only once all is well: it is never the second.
                other = rng.choice([one for one in victims if one not in (victim, "up", SPOOL_DISK)])
                then = draw(other, rng.uniform(0.0, 1.5))
            yield draw(victim, pause + rng.uniform(0.2, 2.0), then)
            pause = 0.0
        pause = calm


def outage(seed: int) -> Fault:
    """Return the fault that stops everything for over a minute: frozen, or killed and not started again."""
    rng = random.Random(f"outage {seed}")
    how: How = rng.choice(("freeze", "kill"))
    return Fault(0.0, EVERYTHING, how, rng.uniform(*OUTAGE_SECONDS))


UPGRADE = Fault(0.0, EVERYTHING, "upgrade", 0.0)


def with_once(schedule: Iterator[Fault], one: Fault, due: Callable[[], bool]) -> Iterator[Fault]:
    """Put one more fault between two, once it is due."""
    done = False
    for fault in schedule:
        if not done and due():
            done = True
            yield one
        yield fault


def _blows(victim: str) -> Sequence[Blow]:
    for kind, blows in (("line-", LINE_BLOWS), ("clock-", CLOCK_BLOWS), ("disk-", DISK_BLOWS)):
        if victim.startswith(kind):
            return blows
    if victim.startswith(HOST):
        return HOST_BLOWS
    return SERVER_BLOWS if victim == "postgres" else BLOWS


def _deal(rng: random.Random, blows: Sequence[Blow]) -> Iterator[Blow]:
    """Deal every blow once before any comes again."""
    while True:
        yield from rng.sample(blows, len(blows))
