"""What is around a machine's processes and can be spoilt: the disks below its folders, clocks, lines."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from tests.faults.disks import small_disk
from tests.faults.schedule import SPOOL_DISK
from tests.faults.spoilables import Spoilable, Spoilables
from tests.faults.wrong_clocks import wrong_clocks
from tests.support.running import NOTHING

# A few seconds of what visitors post, and what a long run leaves in the database.
SPOOL_BYTES = 16 * 1024 * 1024
DATABASE_BYTES = 2 * 1024**3
DATABASE_DISK = "disk-database"


class Surroundings:
    """Made before the machine; `stack` takes them away after it."""

    def __init__(
        self, data_dir: Path, clocks: Sequence[str], stack: ExitStack, *, database_disk: bool
    ) -> None:
        """`clocks`: names of those that can be set. `database_disk`: whether the database gets one too."""
        self._stack = stack
        self._spoilables: dict[str, Sequence[Spoilable]] = {}
        self.lacks: list[str] = []
        self._disk(SPOOL_DISK, data_dir / "spool", SPOOL_BYTES)
        if database_disk:
            self._disk(DATABASE_DISK, data_dir / "postgres", DATABASE_BYTES)
        self._clocks = wrong_clocks(data_dir / "clocks", clocks)
        self._spoilables |= {name: [clock] for name, clock in self._clocks.items()}
        if not self._clocks:
            self.lacks.append("no clock was set wrong: libfaketime is not installed")

    def with_lines(self, lines: Spoilables) -> Spoilables:
        """Return all that can be spoilt."""
        return {**lines, **self._spoilables}

    def clock(self, name: str) -> Mapping[str, str]:
        """Return the variables of a process that goes by that clock; none where there is no such clock."""
        return self._clocks[name].variables if name in self._clocks else NOTHING

    def _disk(self, name: str, folder: Path, size: int) -> None:
        disk = self._stack.enter_context(small_disk(folder, size))
        if disk is None:
            self.lacks.append(f"{name} was not filled: mounting one is not allowed here")
        else:
            self._spoilables[name] = [disk]
