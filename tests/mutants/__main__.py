"""`python -m tests.mutants [--jobs N] [WORDS ...]`: take out guards; exit status 1 where one is not missed.

WORDS choose mutants by a part of their name; all are tried where none are given.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from queue import SimpleQueue

from tests.mutants.mutant import Mutant
from tests.mutants.table import MUTANTS
from tests.mutants.trial import Bench, Verdict
from tests.support.postgres import server_for_tests


def run(mutants: Sequence[Mutant], *, jobs: int, say: Callable[[str], None]) -> int:
    """Run the checks without and with each mutant, `jobs` at a time; return how many guards none missed.

    A check that fails on the source as it is proves nothing: then these are counted, and nothing is tried.
    """
    started = time.monotonic()
    with server_for_tests() as server, ExitStack() as stack:
        benches = [stack.enter_context(Bench(server)) for _ in range(jobs)]
        failing = benches[0].failing_unmutated(mutants)
        for line in failing:
            say(f"FAILS UNMUTATED  {line}")
        if failing:
            return len(failing)
        missed = 0
        for verdict in _verdicts(mutants, benches):
            missed += not verdict.caught
            say(line_of(verdict))
    spent = time.monotonic() - started
    say(f"{len(mutants) - missed} of {len(mutants)} mutants caught, {missed} missed, {spent:.0f} s")
    return missed


def _verdicts(mutants: Sequence[Mutant], benches: Sequence[Bench]) -> Iterator[Verdict]:
    """Try the mutants on whichever bench is free; yield in their order."""
    free: SimpleQueue[Bench] = SimpleQueue()
    for bench in benches:
        free.put(bench)

    def one(mutant: Mutant) -> Verdict:
        bench = free.get()
        try:
            return bench.try_mutant(mutant)
        finally:
            free.put(bench)

    with ThreadPoolExecutor(len(benches)) as pool:
        yield from pool.map(one, mutants)


def line_of(verdict: Verdict) -> str:
    """Return what is printed of a mutant: caught or MISSED, seconds, name, check."""
    outcome = "caught" if verdict.caught else "MISSED"
    line = f"{outcome}  {verdict.seconds:5.1f} s  {verdict.mutant.name}  <-  {verdict.mutant.check}"
    return line if verdict.caught else f"{line}\n        {verdict.why}"


def chosen(names: Sequence[str]) -> list[Mutant]:
    """Return the mutants whose name holds one of the words, all where none is given."""
    return [one for one in MUTANTS if not names or any(name in one.name for name in names)]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("names", nargs="*", help="words of the names of mutants; all if none is given")
    parser.add_argument("--jobs", type=int, default=2, help="mutants at a time (default 2)")
    given = parser.parse_args()
    mutants = chosen(given.names)
    if not mutants:
        parser.error(f"no mutant is called so; there are: {', '.join(one.name for one in MUTANTS)}")
    return 1 if run(mutants, jobs=given.jobs, say=lambda line: print(line, flush=True)) else 0


if __name__ == "__main__":
    sys.exit(main())
