"""A real Apache Kafka on this machine, without Docker: jars by Maven, KRaft, loopback only.

`python -m deploy.kafka.local --directory .kafka` runs one until Ctrl-C; tests use `LocalKafka`.
"""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

POM = Path(__file__).with_name("pom.xml")
FETCH_SECONDS = 300.0
START_SECONDS = 60.0
STOP_SECONDS = 15.0
OLDEST_JAVA = 17
PORTS = range(20_000, 32_000)
_given: set[int] = set()
NOBODY: Mapping[str, str] = {}
# Without these the broker takes as much memory as it may; all of it fits for the topics of a test.
JVM = ("-Xms128m", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")


class KafkaMissing(RuntimeError):
    """This machine cannot run Kafka; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Node:
    """One combined broker and controller; its listeners are on the loopback.

    `advertised` is the port that clients are told; `inner_port` that of the other brokers, 0 for the same.
    """

    number: int
    port: int
    controller_port: int
    advertised: int
    inner_port: int = 0


def check_tools() -> None:
    """Raise KafkaMissing unless Java 17 or newer and Maven are there."""
    for tool in ("java", "mvn"):
        if shutil.which(tool) is None:
            raise KafkaMissing(f"{tool} is not installed")
    told = subprocess.run(["java", "-version"], capture_output=True, text=True, check=False).stderr
    version = told.split('"')[1].split(".")[0] if '"' in told else ""
    if not version.isdigit() or int(version) < OLDEST_JAVA:
        raise KafkaMissing(f"Java {OLDEST_JAVA} or newer is needed, found {version or 'none'}")


def fetch_jars(directory: Path) -> Path:
    """Have Maven copy the jars into `directory`, once; return the folder."""
    marker = directory / ".complete"
    if not marker.exists():
        check_tools()
        fetched = subprocess.run(
            [
                "mvn",
                "-q",
                "-B",
                "-f",
                str(POM),
                "dependency:copy-dependencies",
                f"-DoutputDirectory={directory}",
            ],
            capture_output=True,
            text=True,
            timeout=FETCH_SECONDS,
            check=False,
        )
        if fetched.returncode:
            raise KafkaMissing(f"Maven could not fetch Kafka:\n{fetched.stdout[-2000:]}")
        marker.touch()
    return directory


class LocalKafka:
    """`nodes` processes under `directory`; data stays there from one start to the next."""

    def __init__(
        self,
        directory: Path,
        jars: Path,
        *,
        nodes: int = 1,
        settings: Sequence[str] = (),
        ports: Sequence[int] = (),
        advertised: Sequence[int] = (),
        protocol: str = "PLAINTEXT",
        scram: Mapping[str, str] = NOBODY,
    ) -> None:
        """`settings` are further lines of `server.properties`; `ports` are the brokers' (else free ones).

        `advertised` are the ports that clients are told instead, one for each node: lines to the brokers.
        Brokers then talk to each other past them.

        `protocol` is what clients have to speak; `scram` the passwords of the users of SCRAM-SHA-512.
        """
        self.directory = directory
        self._jars = jars
        self._settings = tuple(settings)
        self._protocol = protocol
        self._scram = scram
        given = (*ports, *(free_port() for _ in range(nodes - len(ports))))
        self.nodes = [
            Node(
                number + 1,
                given[number],
                controller_port=free_port(),
                advertised=advertised[number] if advertised else given[number],
                inner_port=free_port() if advertised else 0,
            )
            for number in range(nodes)
        ]
        self._running: dict[int, subprocess.Popen[bytes]] = {}

    @property
    def bootstrap(self) -> str:
        """Where clients begin: every broker."""
        return ",".join(f"127.0.0.1:{node.advertised}" for node in self.nodes)

    def start(self) -> None:
        """Format what is new, start every node, return when each takes connections."""
        cluster = self._cluster_id()
        for node in self.nodes:
            self._prepare(node, cluster)
            self.start_node(node)
        for node in self.nodes:
            self._wait_for(node)

    def start_node(self, node: Node) -> None:
        """Start one node that does not run."""
        home = self._home(node)
        with (home / "kafka.log").open("ab") as log:
            self._running[node.number] = subprocess.Popen(
                ["java", *JVM, *self._classpath(), "kafka.Kafka", str(home / "server.properties")],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def pid(self, node: Node) -> int:
        """Return the process id of a node that was started."""
        return self._running[node.number].pid

    def runs(self, node: Node) -> bool:
        """Return whether the process of a node that was started has not ended."""
        return self._running[node.number].poll() is None

    def kill(self, node: Node) -> None:
        """End a node by SIGKILL and wait for it."""
        self._running[node.number].kill()
        self._running[node.number].wait(STOP_SECONDS)

    def end(self, node: Node) -> None:
        """End a node in order: it hands its leaderships over first."""
        self._running[node.number].terminate()
        self._running[node.number].wait(START_SECONDS)

    def stop(self) -> None:
        """End every node: in order, or by force after a while."""
        for process in self._running.values():
            process.send_signal(signal.SIGCONT)
            process.terminate()
        for process in self._running.values():
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(STOP_SECONDS)
        self._running.clear()

    def wait_until_ready(self) -> None:
        """Return when every node takes connections."""
        for node in self.nodes:
            self._wait_for(node)

    def _home(self, node: Node) -> Path:
        return self.directory / f"node-{node.number}"

    def _classpath(self) -> list[str]:
        return ["-cp", f"{self._jars}/*"]

    def _cluster_id(self) -> str:
        file = self.directory / "cluster-id"
        if not file.exists():
            self.directory.mkdir(parents=True, exist_ok=True)
            command = ["java", *JVM, *self._classpath(), "kafka.tools.StorageTool", "random-uuid"]
            made = subprocess.run(command, capture_output=True, text=True, check=True, timeout=START_SECONDS)
            file.write_text(made.stdout.split()[-1])
        return file.read_text()

    def _prepare(self, node: Node, cluster: str) -> None:
        home = self._home(node)
        fresh = not (home / "data" / "meta.properties").exists()
        home.mkdir(parents=True, exist_ok=True)
        properties = home / "server.properties"
        properties.write_text("\n".join(self._properties(node)) + "\n")
        if fresh:
            command = ["java", *JVM, *self._classpath(), "kafka.tools.StorageTool", "format"]
            command += ["-t", cluster, "-c", str(properties)]
            for user, password in self._scram.items():
                command += ["--add-scram", f"SCRAM-SHA-512=[name={user},password={password}]"]
            subprocess.run(command, capture_output=True, check=True, timeout=START_SECONDS)

    def _properties(self, node: Node) -> list[str]:
        voters = ",".join(f"{one.number}@127.0.0.1:{one.controller_port}" for one in self.nodes)
        copies = min(3, len(self.nodes))
        return [
            "process.roles=broker,controller",
            f"node.id={node.number}",
            f"controller.quorum.voters={voters}",
            *self._listeners(node),
            f"log.dirs={self._home(node) / 'data'}",
            "auto.create.topics.enable=false",
            f"default.replication.factor={copies}",
            f"min.insync.replicas={max(1, copies - 1)}",
            f"offsets.topic.replication.factor={copies}",
            f"transaction.state.log.replication.factor={copies}",
            f"transaction.state.log.min.isr={max(1, copies - 1)}",
            "offsets.topic.num.partitions=3",
            "share.coordinator.state.topic.replication.factor=1",
            "share.coordinator.state.topic.min.isr=1",
            # Whoever joins a group in a test shall not wait for others that never come.
            "group.initial.rebalance.delay.ms=0",
            "log.segment.delete.delay.ms=0",
            *self._settings,
        ]

    def _listeners(self, node: Node) -> list[str]:
        inner = f",INNER://127.0.0.1:{node.inner_port}" if node.inner_port else ""
        controller = f",CONTROLLER://127.0.0.1:{node.controller_port}"
        return [
            f"listeners={self._protocol}://127.0.0.1:{node.port}{inner}{controller}",
            f"advertised.listeners={self._protocol}://127.0.0.1:{node.advertised}{inner}",
            "controller.listener.names=CONTROLLER",
            f"inter.broker.listener.name={'INNER' if inner else self._protocol}",
            f"listener.security.protocol.map={self._protocol}:{self._protocol},INNER:PLAINTEXT,"
            "CONTROLLER:PLAINTEXT",
        ]

    def _wait_for(self, node: Node) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            status = self._running[node.number].poll()
            if status is not None:
                log = (self._home(node) / "kafka.log").read_text(errors="replace")[-3000:]
                raise RuntimeError(f"Kafka ended with {status} while it started:\n{log}")
            try:
                with socket.create_connection(("127.0.0.1", node.port), timeout=1):
                    return
            except OSError:
                time.sleep(0.05)
        raise TimeoutError(f"Kafka does not listen on port {node.port} after {START_SECONDS:.0f} s")


def default_jars() -> Path:
    """Return the folder for the jars that all checkouts of a user share."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "leadline" / "kafka-4.3.0"


def is_free(port: int) -> bool:
    """Return whether nobody listens on a port of the loopback."""
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


def free_port() -> int:
    """Return a port of the loopback that nobody listens on, another one at each call of this process.

    It lies below those that the system takes for outgoing connections: one of them might have it by the time
    that it is listened on.
    """
    while True:
        port = PORTS.start + secrets.randbelow(len(PORTS))
        if port not in _given and is_free(port):
            _given.add(port)
            return port
