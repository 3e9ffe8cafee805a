"""Load on a HTTP server, from a process of its own: keep-alive connections, each with one request at a time.

`python -m benchmarks.http_load` reads a Load as JSON from standard input and prints an Outcome.
"""

import asyncio
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import msgspec
import uvloop

CONNECT_SECONDS = 10.0
AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130 Safari/537.36"
PLANS = ("starter", "team", "enterprise")


class Load(msgspec.Struct, frozen=True):
    """What to send: `requests` posts of `batch` events each (1: the body is the event) to `path`."""

    port: int
    path: str
    requests: int
    connections: int = 64
    batch: int = 1
    token: str = ""
    seed: int = 0
    deadline_seconds: float = 120.0


class Outcome(msgspec.Struct, frozen=True):
    """How many were answered 200, what else was answered, and how long all of them took."""

    seconds: float
    answered: int
    refused: dict[str, int] = {}


def events(seed: int, count: int) -> Iterator[dict[str, Any]]:
    """Yield events of about 300 bytes as the tracking libraries send them, each with an id of its own."""
    draw, began = random.Random(seed), datetime.now(UTC)
    for number in range(count):
        at = (began - timedelta(seconds=draw.randrange(60))).isoformat(timespec="milliseconds")
        yield {
            "type": "track",
            "event": "Plan Compared",
            "messageId": f"{seed:x}-{number:08x}-{draw.getrandbits(64):016x}",
            "anonymousId": f"{draw.randrange(20_000):08x}-5f2e-4d7a-9a51-0c6d3e1f7b42",
            "timestamp": at.replace("+00:00", "Z"),
            "properties": {"plan": draw.choice(PLANS), "seats": draw.randrange(500), "yearly": True},
            "context": {"library": {"name": "analytics-node", "version": "2.1.0"}},
        }


def requests(load: Load) -> list[bytes]:
    """Return whole requests, head and body, before the clock starts."""
    told = events(load.seed, load.requests * load.batch)
    head = f"POST {load.path} HTTP/1.1\r\nhost: 127.0.0.1:{load.port}\r\nuser-agent: analytics-node/2.1.0\r\n"
    head += f"accept: */*\r\ncontent-type: application/json\r\nauthorization: Bearer {load.token}\r\n"
    made = []
    for _ in range(load.requests):
        several = [next(told) for _ in range(load.batch)]
        body = msgspec.json.encode({"batch": several} if load.batch > 1 else several[0])
        made.append(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
    return made


class _Connection(asyncio.Protocol):
    """Sends the next request as soon as the answer to the last is whole."""

    def __init__(self, waiting: Iterator[bytes], note: Callable[[int], None]) -> None:
        self._waiting = waiting
        self._note = note
        self._transport: asyncio.Transport | None = None
        self._received = b""
        self.ended = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are of no class of asyncio's.
        self._transport = cast(asyncio.Transport, transport)

    def send_next(self) -> None:
        assert self._transport is not None
        request = next(self._waiting, None)
        if request is None:
            self._transport.close()
        else:
            self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        if not found or len(body) < _length(head):
            return
        self._received = b""
        self._note(int(head[9:12]))
        self.send_next()

    def connection_lost(self, _exc: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_result(None)


def _length(head: bytes) -> int:
    found = head.lower().partition(b"content-length:")[2]
    return int(found.partition(b"\r\n")[0])


async def send_all(load: Load) -> Outcome:
    """Send the load and wait for every answer."""
    statuses: dict[int, int] = {}

    def note(status: int) -> None:
        statuses[status] = statuses.get(status, 0) + 1

    waiting = iter(requests(load))
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(CONNECT_SECONDS):
        opened = [
            await loop.create_connection(lambda: _Connection(waiting, note), "127.0.0.1", load.port)
            for _ in range(load.connections)
        ]
    began = time.perf_counter()
    async with asyncio.timeout(load.deadline_seconds):
        for _, connection in opened:
            connection.send_next()
        await asyncio.gather(*(connection.ended for _, connection in opened))
    seconds = time.perf_counter() - began
    answered = statuses.pop(200, 0)
    return Outcome(seconds, answered, {str(status): count for status, count in statuses.items()})


def put_on(load: Load) -> Outcome:
    """Run a load in a process of its own; RuntimeError where not every request was answered 200."""
    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks.http_load"],
        input=msgspec.json.encode(load),
        stdout=subprocess.PIPE,
        check=True,
    )
    outcome = msgspec.json.decode(ran.stdout, type=Outcome)
    if outcome.answered != load.requests:
        raise RuntimeError(f"{outcome.answered} of {load.requests} were answered 200, else {outcome.refused}")
    return outcome


def main() -> None:
    load = msgspec.json.decode(sys.stdin.buffer.read(), type=Load)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        outcome = runner.run(send_all(load))
    sys.stdout.buffer.write(msgspec.json.encode(outcome))


if __name__ == "__main__":
    main()
