"""The parts of `make bench` by name, in the order in which they are run and shown."""

from benchmarks import ingest, kafka, scoring_rules, scoring_throughput, scoring_workers
from benchmarks.assignments import assignments
from benchmarks.figures import Part
from benchmarks.handoff import handoff, handoff_on_kafka
from benchmarks.memory import memory, memory_on_kafka
from benchmarks.timers import timers

PARTS: dict[str, Part] = {
    "ingest": ingest.singles,
    "batches": ingest.batches,
    "scoring": scoring_throughput.scoring,
    "workers": scoring_workers.workers,
    "rules": scoring_rules.rules,
    "timers": timers,
    "assignments": assignments,
    "handoff": handoff,
    "memory": memory,
    "kafka-ingest": kafka.singles,
    "kafka-batches": kafka.batches,
    "kafka-workers": scoring_workers.workers_on_kafka,
    "kafka-handoff": handoff_on_kafka,
    "kafka-memory": memory_on_kafka,
}
