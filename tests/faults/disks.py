"""Small disks of their own for a machine's folders, which can be filled without harm to anybody else."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from tests.support.small_disk import fill, mount, unmount


class SmallDisk:
    """A disk that is full at times."""

    def __init__(self, folder: Path) -> None:
        self._ballast = folder / "ballast"

    def become(self, state: Literal["whole", "full"]) -> None:
        """Take all the room that is left, or give it back."""
        if state == "full":
            fill(self._ballast)
        else:
            self._ballast.unlink(missing_ok=True)


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[SmallDisk | None]:
    """Put a disk of `size` bytes under a folder that is new; None where mounting is not allowed."""
    folder.mkdir(parents=True, exist_ok=True)
    if not mount(folder, size):
        yield None
        return
    try:
        yield SmallDisk(folder)
    finally:
        unmount(folder)
