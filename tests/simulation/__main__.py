"""`python -m tests.simulation --seeds 2000 --first 0`, or `--seed N --trace` to see one of them again."""

import argparse
import sys
from concurrent.futures import ProcessPoolExecutor
from os import cpu_count

from tests.simulation.run import Outcome, silence, simulate


def main() -> int:
    """Run many seeds, or one; exit status 1 where one of them finds something."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation")
    parser.add_argument("--seeds", type=int, default=2000, help="how many")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--seed", type=int, help="this one alone")
    parser.add_argument("--crash-at", type=int, help="crash at this boundary too (with --seed)")
    parser.add_argument("--trace", action="store_true", help="print every call (with --seed)")
    parser.add_argument("--jobs", type=int, default=cpu_count())
    options = parser.parse_args()
    silence()
    if options.seed is not None:
        one = simulate(options.seed, crash_at=options.crash_at)
        print("\n".join(one.trace if options.trace else ()))
        return tell([one])
    seeds = range(options.first, options.first + options.seeds)
    with ProcessPoolExecutor(options.jobs, initializer=silence) as pool:
        return tell(list(pool.map(simulate, seeds, chunksize=20)))


def tell(outcomes: list[Outcome]) -> int:
    """Print what was found, with the command that shows it again."""
    wrong = [one for one in outcomes if one.findings]
    for one in wrong[:20]:
        print(f"seed {one.seed}: python -m tests.simulation --seed {one.seed} --trace")
        for finding in one.findings[:5]:
            print(f"    {finding}")
    calls = sum(one.calls for one in outcomes)
    print(
        f"simulation: {len(outcomes)} seeds, {calls} calls and boundaries, {len(wrong)} seeds with findings"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
