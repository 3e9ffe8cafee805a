"""Where optional data lies that the repository does not carry: LEADLINE_DATA, else `../shared`."""

import os
from pathlib import Path

import pytest

DEFAULT = Path(__file__).resolve().parents[2].parent / "shared"


def data_file(*parts: str) -> Path:
    """Return a file of the data folder; skip the test, saying so, where it is absent."""
    path = Path(os.environ.get("LEADLINE_DATA") or DEFAULT).joinpath(*parts)
    if not path.exists():
        pytest.skip(f"{'/'.join(parts)} is not here; set LEADLINE_DATA to the folder that holds it")
    return path
