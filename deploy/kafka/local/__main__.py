"""`python -m deploy.kafka.local --directory .kafka --port 9092`: one broker until Ctrl-C."""

import argparse
import signal
import sys
import threading
from pathlib import Path

from deploy.kafka.local.broker import KafkaMissing, LocalKafka, default_jars, fetch_jars


def main() -> int:
    """Start, say where, wait for a signal, stop."""
    parser = argparse.ArgumentParser(prog="python -m deploy.kafka.local", description=__doc__)
    parser.add_argument("--directory", type=Path, default=Path(".kafka"), help="where the log lies")
    parser.add_argument("--port", type=int, default=9092)
    parser.add_argument("--nodes", type=int, default=1)
    options = parser.parse_args()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    ports = [options.port + node for node in range(options.nodes)]
    try:
        jars = fetch_jars(default_jars())
        kafka = LocalKafka(options.directory.resolve(), jars, nodes=options.nodes, ports=ports)
    except KafkaMissing as missing:
        print(missing, file=sys.stderr)
        return 1
    try:
        kafka.start()
        print(f"Kafka listens on {kafka.bootstrap}; Ctrl-C stops it", flush=True)
        stop.wait()
    finally:
        kafka.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
