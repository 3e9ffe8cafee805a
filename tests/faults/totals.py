"""What runs amount to together: one JSON line for each, so that those of an hour can be added up."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

# Before a release all runs together have at least so many of each.
WANTED: Mapping[str, int] = {
    "process kills": 300,
    "broker and database kills": 50,
    "acknowledged events": 300_000,
    "clocks": 20_000,
}
Sums = Mapping[str, float]


def keep(file: Path, run: str, sums: Sums) -> None:
    """Append a run and what it amounted to."""
    with file.open("a") as lines:
        lines.write(json.dumps({"run": run, **sums}) + "\n")


def kept(file: Path) -> Iterator[Sums]:
    """Return what each run in a file amounted to."""
    for line in file.read_text().splitlines():
        found = json.loads(line)
        del found["run"]
        yield found


def together(runs: list[Sums]) -> str:
    """Return a line that adds runs up, with what is wanted beside it where less was reached."""
    sums: Counter[str] = Counter()
    for one in runs:
        sums.update(one)
    told = [f"{sums.pop('seconds'):.0f} s", f"{sums.pop('findings'):.0f} findings"]
    for name, count in sums.items():
        wanted = WANTED.get(name, 0)
        told.append(f"{count:.0f} {name}" + (f" (of {wanted})" if count < wanted else ""))
    return f"together {len(runs)} runs: " + ", ".join(told)
