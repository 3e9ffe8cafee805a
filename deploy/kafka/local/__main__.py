"""`python -m deploy.kafka.local --directory .kafka [-- COMMAND ...]`: a broker until Ctrl-C.

With a command, until that has ended: it finds the broker by LEADLINE_BUS and LEADLINE_KAFKA_BOOTSTRAP.
"""

import argparse
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

from deploy.kafka.local.broker import KafkaMissing, LocalKafka, default_jars, fetch_jars, is_free


def main() -> int:
    """Start the broker; wait for a signal or for the command; stop it."""
    parser = argparse.ArgumentParser(prog="python -m deploy.kafka.local", description=__doc__)
    parser.add_argument("--directory", type=Path, default=Path(".kafka"), help="where the log lies")
    parser.add_argument("--port", type=int, default=9092)
    parser.add_argument("--nodes", type=int, default=1)
    parser.add_argument("command", nargs="*", help="what to run meanwhile")
    options = parser.parse_args()
    ports = [options.port + node for node in range(options.nodes)]
    # Another one's broker would answer there, and be taken for ours.
    if taken := [port for port in ports if not is_free(port)]:
        print(
            f"Kafka cannot be started: port {taken[0]} is taken; KAFKA_PORT= names another", file=sys.stderr
        )
        return 1
    print("starting Kafka", file=sys.stderr, flush=True)
    try:
        jars = fetch_jars(default_jars())
    except KafkaMissing as missing:
        print(f"Kafka cannot be started: {missing}", file=sys.stderr)
        return 1
    kafka = LocalKafka(options.directory.resolve(), jars, nodes=options.nodes, ports=ports)
    try:
        kafka.start()
        return run_beside(kafka, options.command) if options.command else wait(kafka)
    finally:
        kafka.stop()


def wait(kafka: LocalKafka) -> int:
    """Keep the broker until SIGINT or SIGTERM."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    print(f"Kafka listens on {kafka.bootstrap}; Ctrl-C stops it", flush=True)
    stop.wait()
    return 0


def run_beside(kafka: LocalKafka, command: list[str]) -> int:
    """Run a command to its end. A Ctrl-C at the terminal reaches it as well; SIGTERM is passed on."""
    found = {"LEADLINE_BUS": "kafka", "LEADLINE_KAFKA_BOOTSTRAP": kafka.bootstrap}
    # A handler, not SIG_IGN: what is ignored would stay ignored in the command.
    signal.signal(signal.SIGINT, lambda *_: None)
    running = subprocess.Popen(command, env=os.environ | found)
    signal.signal(signal.SIGTERM, lambda *_: running.terminate())
    return running.wait()


if __name__ == "__main__":
    sys.exit(main())
