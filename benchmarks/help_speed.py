"""How long `leadline --help` takes: the median of 15 runs, against the goal of 0.3 s."""

import statistics
import subprocess
import sys
import time

RUNS = 15
GOAL_SECONDS = 0.3


def main() -> int:
    """Print median and spread; exit 1 if the median misses the goal."""
    took = []
    for _ in range(RUNS):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-m", "leadline", "--help"], check=True, stdout=subprocess.DEVNULL)
        took.append(time.perf_counter() - started)
    median = statistics.median(took)
    spread = f"{min(took):.3f} to {max(took):.3f} s"
    print(f"leadline --help: median {median:.3f} s, {spread}, goal {GOAL_SECONDS} s")
    return int(median > GOAL_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
