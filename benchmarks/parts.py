"""The parts of `make bench` by name, in the order in which they are run and shown."""

from benchmarks.assignments import assignments
from benchmarks.figures import Part
from benchmarks.handoff import handoff
from benchmarks.memory import memory
from benchmarks.timers import timers

PARTS: dict[str, Part] = {
    "assignments": assignments,
    "timers": timers,
    "handoff": handoff,
    "memory": memory,
}
