"""What can be spoilt without a signal, by the name under which it is struck: lines, clocks, disks."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol


class Spoilable(Protocol):
    """Something that is `whole`, or spoilt in one of its own ways."""

    def become(self, state: Any) -> None: ...


# Those of one name are spoilt together.
Spoilables = Mapping[str, Sequence[Spoilable]]


def spoil(things: Sequence[Spoilable], state: str) -> None:
    """Let all of them become so."""
    for thing in things:
        thing.become(state)
