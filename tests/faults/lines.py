"""Lines between processes, by the name under which they are struck; those of one name are spoilt together."""

from collections.abc import Mapping, Sequence

from tests.support.fault_line import FaultLine, State

Lines = Mapping[str, Sequence[FaultLine]]


def spoil(lines: Sequence[FaultLine], state: State) -> None:
    """Let all of them become so."""
    for line in lines:
        line.become(state)
