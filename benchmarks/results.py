"""RESULTS.md: one table of figures; a part that is run alone replaces its own rows and leaves the others."""

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure
from benchmarks.parts import PARTS

TABLE = Path(__file__).with_name("RESULTS.md")
RECORD = Path(__file__).with_name("results.json")

HEAD = """# Results

Written by `make bench`; `make bench PART="ingest rules"` measures some parts anew and leaves the rest.
Every ratio is taken against the reference beside it, in the same run; the brackets hold its lowest and
highest round. Absolute figures are of the machine named under `taken` and say little about another one.

| work | measured | reference | ratio | goal | met |
| --- | --- | --- | --- | --- | --- |
"""


def record(part: str, figures: Sequence[Figure]) -> None:
    """Replace the rows of `part` and write the table anew."""
    known = _known()
    known[part] = {
        "taken": f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "figures": [asdict(figure) for figure in figures],
    }
    RECORD.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n", "utf-8")
    TABLE.write_text(render(known), "utf-8")


def _known() -> dict[str, Any]:
    return dict(json.loads(RECORD.read_text("utf-8"))) if RECORD.exists() else {}


def render(known: Mapping[str, Any]) -> str:
    """Return the page: the table, then when and on what each part was taken."""
    order = [part for part in PARTS if part in known]
    rows = [Figure(**figure).row() for part in order for figure in known[part]["figures"]]
    taken = [f"- `{part}`: {known[part]['taken']}" for part in order]
    return HEAD + "\n".join(rows) + "\n\n## Taken\n\n" + "\n".join(taken) + "\n"
