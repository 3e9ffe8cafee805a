"""Replaces a file whole or not at all, whoever else replaces it at the same time."""

import os
import uuid
from pathlib import Path


def replace_file(file: Path, data: bytes) -> None:
    """Put `data` in the place of what was there, readable to its owner alone; raise OSError.

    For what is as good as none where it is lost: it is not fsynced, so a power cut may cost it.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    # A name of its own: processes that share the folder would write into each other's.
    new = file.with_name(f"{file.name}.{uuid.uuid4().hex}.new")
    try:
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as opened:
            opened.write(data)
        new.replace(file)
    except OSError:
        new.unlink(missing_ok=True)
        raise
