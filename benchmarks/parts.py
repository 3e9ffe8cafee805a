"""The parts of `make bench` by name, in the order in which they are run and shown."""

from benchmarks.figures import Part

PARTS: dict[str, Part] = {}
