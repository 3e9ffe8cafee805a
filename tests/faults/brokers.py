"""Kafka as a machine has it: three brokers, struck one by one and all at once; or none at all."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import psutil

from deploy.kafka.local.broker import LocalKafka, Node, default_jars, fetch_jars, free_port
from tests.faults.processes import alive
from tests.faults.spoilables import Spoilables
from tests.support.fault_line import FaultLine

ALL = "brokers"
LINE = "line-to-brokers"


class NoBrokers:
    """The log is in PostgreSQL."""

    bus = "postgres"
    victims: tuple[str, ...] = ()
    single: tuple[str, ...] = ()

    def __init__(self) -> None:
        self.variables: Mapping[str, str] = {}
        self.lines: Spoilables = {}

    def processes(self, victim: str) -> list[psutil.Process]:
        raise KeyError(victim)

    def tend(self) -> None:
        """Nothing to keep together."""

    def stop(self) -> None:
        """Nothing to stop."""


class Brokers:
    """Three brokers, three copies of everything, of which two must have what is acknowledged.

    Clients reach them over lines that can be spoilt, all three in the same way.
    """

    bus = "kafka"

    def __init__(self, folder: Path) -> None:
        ports = [free_port() for _ in range(3)]
        self._kafka = LocalKafka(folder, fetch_jars(default_jars()), nodes=3, advertised=ports)
        self._nodes = {f"broker-{node.number}": node for node in self._kafka.nodes}
        self.single: tuple[str, ...] = tuple(self._nodes)
        self.victims: tuple[str, ...] = (*self.single, ALL)
        self.variables: Mapping[str, str] = {
            "LEADLINE_BUS": "kafka",
            "LEADLINE_KAFKA_BOOTSTRAP": self._kafka.bootstrap,
        }
        lines = [FaultLine(node.advertised, node.port) for node in self._kafka.nodes]
        self.lines: Spoilables = {LINE: lines}
        with ExitStack() as started:
            for line in lines:
                line.open()
                started.callback(line.close)
            started.callback(self._kafka.stop)
            self._kafka.start()
            self._stop = started.pop_all()

    def processes(self, victim: str) -> list[psutil.Process]:
        """Return the live brokers that a victim stands for."""
        found = [
            psutil.Process(self._kafka.pid(node)) for node in self._named(victim) if self._kafka.runs(node)
        ]
        return [process for process in found if alive(process)]

    def tend(self) -> None:
        """Start again what has ended: a broker halts by itself where it cannot go on."""
        for node in self._kafka.nodes:
            if not self._kafka.runs(node):
                self._kafka.start_node(node)

    def stop(self) -> None:
        """End brokers and lines."""
        self._stop.close()

    def _named(self, victim: str) -> Sequence[Node]:
        return self._kafka.nodes if victim == ALL else [self._nodes[victim]]
