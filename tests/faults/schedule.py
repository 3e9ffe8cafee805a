"""Which process is struck when and how: drawn from a seed, each in turn, with calm between the rounds."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

How = Literal["kill", "freeze", "freeze_and_kill"]
HOWS: tuple[How, ...] = ("kill", "kill", "freeze", "freeze_and_kill")
# What a blow to the server hits: all its processes, its first one, or one that serves a connection.
PARTS = ("all", "first", "one")


@dataclass(frozen=True, slots=True)
class Fault:
    """After `pause` seconds strike `victim`; a frozen one is held for `held` seconds."""

    pause: float
    victim: str
    how: How
    held: float
    part: str = "all"


def faults(seed: int, victims: Sequence[str], *, calm: float = 8.0) -> Iterator[Fault]:
    """Give faults without end; in each round every victim once. Each round after the first starts calm."""
    rng = random.Random(f"faults {seed}")
    pause = 0.0
    while True:
        order = list(victims)
        rng.shuffle(order)
        for victim in order:
            how = rng.choice(HOWS)
            # A server whose first process is stopped or that lost one child: three different recoveries.
            part = rng.choice(PARTS) if victim == "postgres" and how == "kill" else "all"
            held = 0.0 if how == "kill" else rng.choice((0.3, 1.0, 2.5, 4.0, 7.0))
            yield Fault(pause + rng.uniform(0.2, 2.0), victim, how, held, part)
            pause = 0.0
        pause = calm
