"""A small disk that a test can fill."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[Path]:
    """Mount a disk of `size` bytes on a folder: one that can be filled without harm to others."""
    if not mount(folder, size):
        pytest.skip("mounting a small disk is not allowed here")
    try:
        yield folder
    finally:
        unmount(folder)


def mount(folder: Path, size: int) -> bool:
    """Mount a disk of `size` bytes in memory on a folder; return whether that is allowed."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=755", "leadline", str(folder)]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def unmount(folder: Path) -> None:
    """Take it away; what still has files open there may end in peace."""
    subprocess.run(["umount", "--lazy", folder], check=True)


def fill(ballast: Path) -> None:
    """Take all the room that is left."""
    with ballast.open("ab", buffering=0) as file:
        # Most of it at once: writing gigabytes takes its time.
        with suppress(OSError):
            os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(ballast.parent).free)
        for size in (1024 * 1024, 4096):
            try:
                while file.write(bytes(size)):
                    pass
            except OSError:
                continue
