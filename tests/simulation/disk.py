"""The disk of the spools: real files, of which a crash keeps what was synced and a piece of the rest."""

import errno
import os as real
from typing import Any

from tests.simulation.world import World


class Disk:
    """Stands in for the module `os` in the spool. A crash here is a power cut: harsher than SIGKILL."""

    def __init__(self, world: World, *, syncs: bool = True) -> None:
        self._world = world
        self._syncs = syncs
        self.full = False
        # Descriptor -> bytes that are safe.
        self._safe: dict[int, int] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(real, name)

    def open(self, path: Any, flags: int, mode: int = 0o777) -> int:
        self._world.strike("opening a file")
        descriptor = real.open(path, flags, mode)
        if flags & real.O_CREAT:
            self._safe[descriptor] = 0
            self._stamp(descriptor)
            self._world.on_death(lambda: self._lost(descriptor))
        return descriptor

    def write(self, descriptor: int, data: bytes) -> int:
        self._world.strike("writing")
        if self.full:
            real.write(descriptor, data[: len(data) // 2])
            raise OSError(errno.ENOSPC, "no space")
        written = real.write(descriptor, data)
        self._stamp(descriptor)
        return written

    def fdatasync(self, descriptor: int) -> None:
        self._world.strike("syncing")
        if self._syncs:
            self._safe[descriptor] = real.fstat(descriptor).st_size
        self._world.strike("synced")

    def ftruncate(self, descriptor: int, size: int) -> None:
        self._world.strike("cutting off")
        real.ftruncate(descriptor, size)
        self._safe[descriptor] = min(self._safe[descriptor], size)

    def close(self, descriptor: int) -> None:
        real.close(descriptor)
        self._safe.pop(descriptor, None)

    def _stamp(self, descriptor: int) -> None:
        """Date the file by the clock of the simulation: files are drained in the order of their dates."""
        at = int(self._world.now * 1e9)
        real.utime(descriptor, ns=(at, at))

    def _lost(self, descriptor: int) -> None:
        """Keep what was synced and some of what was not, and let the lock go."""
        if descriptor in self._safe:
            safe, size = self._safe[descriptor], real.fstat(descriptor).st_size
            real.ftruncate(descriptor, self._world.rng.randint(safe, max(safe, size)))
            self.close(descriptor)
