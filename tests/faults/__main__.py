"""`python -m tests.faults --seconds 60 --seed 1`: exit status 1 where a check finds something."""

import argparse
import signal
import sys
from itertools import product
from pathlib import Path

from tests.faults import totals
from tests.faults.run import BUSES, MACHINES, Plan, Report, run

# A run of this length has an outage in its middle.
LONG_SECONDS = 600


def main() -> int:
    """Run the machines one after the other."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults")
    parser.add_argument("--seconds", type=float, default=60, help="how long each machine is struck")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--machine", action="append", choices=list(MACHINES), help="default: all")
    parser.add_argument("--bus", action="append", choices=BUSES, help="default: postgres")
    parser.add_argument(
        "--outage",
        action=argparse.BooleanOptionalAction,
        help=f"stop everything for over a minute once (default: from {LONG_SECONDS} s on)",
    )
    parser.add_argument(
        "--database-disk",
        action=argparse.BooleanOptionalAction,
        help=f"put the database on a small disk that is full at times (default: from {LONG_SECONDS} s on)",
    )
    parser.add_argument(
        "--upgrade",
        action=argparse.BooleanOptionalAction,
        help=f"upgrade the schema and restart everything once (default: from {LONG_SECONDS} s on)",
    )
    parser.add_argument("--keep", type=Path, help="keep data, logs and journal in this folder")
    parser.add_argument(
        "--totals", type=Path, help="add to this file, and tell what all runs in it amount to"
    )
    options = parser.parse_args()
    # Whoever ends the run early, also from a script, leaves no process behind.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    long = options.seconds >= LONG_SECONDS
    outage = long if options.outage is None else options.outage
    disk = long if options.database_disk is None else options.database_disk
    upgrade = long if options.upgrade is None else options.upgrade
    reports: list[Report] = []
    for bus, name in product(options.bus or BUSES[:1], options.machine or MACHINES):
        report = run(name, Plan(options.seed, options.seconds, outage, bus, disk, upgrade), options.keep)
        reports.append(report)
        print("\n".join(report.lines()), flush=True)
        if options.totals:
            totals.keep(options.totals, report.name, report.sums())
    runs = totals.kept(options.totals) if options.totals else (report.sums() for report in reports)
    print(totals.together(list(runs)))
    return 1 if any(report.found for report in reports) else 0


if __name__ == "__main__":
    sys.exit(main())
