"""`python -m benchmarks [PART ...]`: measure, print each row as it comes, write RESULTS.md."""

import argparse
import sys

from benchmarks.parts import PARTS
from benchmarks.results import TABLE, record


def main() -> int:
    """Run the parts named, or all; exit 1 where a goal is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("part", nargs="*", help=f"default: all of {', '.join(PARTS)}")
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each figure (default 5)")
    options = parser.parse_args()
    if unknown := set(options.part) - set(PARTS):
        parser.error(f"no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    missed = 0
    for name in options.part or PARTS:
        figures = PARTS[name](options.rounds)
        record(name, figures)
        for figure in figures:
            missed += figure.met is False
            print(figure.row(), flush=True)
    print(f"{missed} goals missed; the table is in {TABLE.name}")
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
