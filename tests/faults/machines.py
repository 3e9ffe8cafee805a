"""Two machines: `leadline up` with a second api and work beside it, or processes of one or few roles each."""

import asyncio
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import psutil

from deploy.kafka.local.broker import free_port
from leadline.first_keys import first_keys
from shared.bus.kafka.options import KafkaOptions
from shared.bus.kafka.topics import create
from shared.contracts.routes import owner_of
from shared.contracts.topics import SERVICES
from shared.db.embedded import EmbeddedPostgres
from shared.db.migrate import upgrade
from tests.faults.brokers import Brokers, NoBrokers
from tests.faults.machine import BACK_SECONDS, Door, answers, is_ready
from tests.faults.processes import Started, alive, server_processes
from tests.faults.surroundings import Surroundings
from tests.support.eventually import eventually_sync
from tests.support.fault_line import fault_line
from tests.support.running import STOP_SECONDS, end_database, start, tell

LOOPBACK = "http://127.0.0.1"
SECOND_CLOCK = "clock-second"


class Standalone:
    """`leadline up`, and a second `leadline api` and `leadline work` on its database.

    It starts its children and the server again by itself; we start it again, and the second ones.
    """

    name = "standalone"
    timers: tuple[str, ...] = ("work", "second-work")
    # The first host is lost with `up`; what runs under it is started again by it.
    hosts: Mapping[str, Sequence[str]] = {"host-second": ("second-api", "second-work")}

    def __init__(self, data_dir: Path, brokers: Brokers | NoBrokers, *, database_disk: bool = False) -> None:
        self.data_dir = data_dir
        self.brokers = brokers
        port = free_port()
        with ExitStack() as started:
            # Not the first one's: the server, whose clock counts, is a child of it.
            around = Surroundings(data_dir, [SECOND_CLOCK], started, database_disk=database_disk)
            self.spoilables = around.with_lines(brokers.lines)
            self.lacks = tuple(around.lacks)
            own = ("api", "work", "postgres", "up", "second-api", "second-work")
            self.victims: tuple[str, ...] = (*own, *self.hosts, *brokers.victims, *self.spoilables)
            self.restarted: Sequence[str] = ("up", "second-api", "second-work", *brokers.single)
            started.callback(end_database, data_dir)
            self._running = start(data_dir, variables=brokers.variables)
            started.callback(self._running.stop)
            self._second = Started(data_dir / "logs", self.database_url, brokers.variables)
            started.callback(self._second.stop)
            second, clock = data_dir / "second", around.clock(SECOND_CLOCK)
            self._second.add("second-api", ["leadline", "api", "--port", str(port)], second, clock)
            self._second.add("second-work", ["leadline", "work"], second, clock)
            self._doors = Door("api", self._running.url), Door("second-api", f"{LOOPBACK}:{port}")
            wait_until_ready(door.url for door in self._doors)
            # Who ends the run in the middle of this leaves nothing behind; from here on `stop` does it.
            self._stop = started.pop_all()

    @property
    def keys(self) -> Mapping[str, str]:
        return dict(self._running.ready["keys"])

    @property
    def database_url(self) -> str:
        return EmbeddedPostgres(self.data_dir).url()

    def doors(self, path: str) -> tuple[Door, ...]:
        return self._doors

    def base(self, path: str) -> str:
        return self._running.url

    def hit_by(self, victim: str) -> frozenset[str]:
        if victim == "up":
            return frozenset({"up", "api", "work"})
        return frozenset(self.hosts.get(victim, (victim,)))

    def processes(self, victim: str) -> list[psutil.Process]:
        if victim in self.brokers.victims:
            return self.brokers.processes(victim)
        if victim in self._second:
            return self._second.live(victim)
        if victim in self.hosts:
            return [process for name in self.hosts[victim] for process in self._second.live(name)]
        if victim == "postgres":
            return server_processes(self.data_dir)
        if victim == "up":
            found: psutil.Process | None = psutil.Process(self._running.process.pid)
        else:
            found = self._running.child(victim)
        return [found] if found is not None and alive(found) else []

    def bring_back(self, victim: str) -> None:
        if victim in self.brokers.victims:
            self.brokers.tend()
        elif victim in self._second:
            self._second.bring_back([victim])
        elif victim in self.hosts:
            self._second.bring_back(self.hosts[victim])
        elif victim == "up":
            self._running.process.wait(STOP_SECONDS)
            self._running.start_again()

    def tend(self) -> None:
        """The supervisor never ends by itself."""
        status = self._running.process.poll()
        assert status is None, f"leadline up ended by itself with {status}:\n{tell(self.data_dir)}"
        for name in self._second.ended():
            self._second.again(name)
        self.brokers.tend()

    def stop(self) -> None:
        self._stop.close()


# Victim -> service and roles: a process for each role, and a second instance with one for each service.
APART: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "ingest-api": ("ingest", ("api",)),
    "ingest-relay": ("ingest", ("relay", "timer")),
    "scoring-api": ("scoring", ("api",)),
    "scoring-worker": ("scoring", ("worker",)),
    "scoring-relay": ("scoring", ("relay", "timer")),
    "routing-api": ("routing", ("api",)),
    "routing-worker": ("routing", ("worker",)),
    "routing-relay": ("routing", ("relay",)),
    "routing-timer": ("routing", ("timer",)),
    "second-ingest": ("ingest", ("api", "relay", "timer")),
    "second-scoring": ("scoring", ("api", "worker", "relay", "timer")),
    "second-routing": ("routing", ("api", "worker", "relay", "timer")),
}
LINE = "line-to-database"
SOCKET = ".s.PGSQL.5432"
# The pages over all services, for the checks at the end; it is not struck.
PAGES = "leadline-api"


class Apart:
    """Each service as processes of its own on one embedded PostgreSQL; we start again what is killed."""

    name = "apart"
    timers: tuple[str, ...] = ("routing-timer", "second-routing")
    hosts: Mapping[str, Sequence[str]] = {
        "host-first": tuple(name for name in APART if not name.startswith("second-")),
        "host-second": tuple(name for name in APART if name.startswith("second-")),
    }

    def __init__(self, data_dir: Path, brokers: Brokers | NoBrokers, *, database_disk: bool = False) -> None:
        data_dir.mkdir(parents=True)
        self.data_dir = data_dir
        self.brokers = brokers
        self._ports: dict[str, int] = {}
        with ExitStack() as started:
            clocks = [f"clock-{service}" for service in SERVICES]
            self._around = Surroundings(data_dir, clocks, started, database_disk=database_disk)
            self.lacks = tuple(self._around.lacks)
            self._server = EmbeddedPostgres(data_dir)
            started.callback(self._server.stop)
            self._url = self._server.start()
            upgrade(self._url)
            if brokers.bus == "kafka":
                asyncio.run(create(KafkaOptions(brokers.variables["LEADLINE_KAFKA_BOOTSTRAP"])))
            self._keys = asyncio.run(first_keys(self._url, data_dir)).by_scope
            # The path of a socket may not be long.
            folder = Path(started.enter_context(tempfile.TemporaryDirectory(prefix="leadline-line-")))
            line = started.enter_context(fault_line(folder / SOCKET, data_dir / "postgres" / SOCKET))
            self.spoilables = self._around.with_lines({LINE: [line], **brokers.lines})
            self.victims: tuple[str, ...] = (
                *APART, *self.hosts, "postgres", *brokers.victims, *self.spoilables,
            )  # fmt: skip
            self.restarted: Sequence[str] = (*APART, *brokers.single)
            url = self._url.replace(str(data_dir / "postgres"), str(folder))
            assert url != self._url
            self._started = Started(data_dir, url, brokers.variables)
            started.callback(self._started.stop)
            for victim, (service, roles) in APART.items():
                arguments = [f"services.{service}"]
                for role in roles:
                    arguments += ["--role", role]
                self._start(victim, arguments, listens="api" in roles)
            self._start(PAGES, ["leadline", "api"], listens=True)
            wait_until_ready(map(self._url_of, self._ports))
            self._stop = started.pop_all()

    def _start(self, name: str, arguments: list[str], *, listens: bool) -> None:
        if listens:
            self._ports[name] = free_port()
            arguments += ["--port", str(self._ports[name])]
        if name.startswith("second-"):
            self._started.add(name, arguments, self.data_dir / "second")
        else:
            clock = self._around.clock(f"clock-{name.partition('-')[0]}")
            self._started.add(name, arguments, self.data_dir, clock)

    @property
    def keys(self) -> Mapping[str, str]:
        return self._keys

    @property
    def database_url(self) -> str:
        return self._url

    def doors(self, path: str) -> tuple[Door, ...]:
        service = owner_of(path)
        names = (f"{service}-api", f"second-{service}") if service else (PAGES,)
        return tuple(Door(name, self._url_of(name)) for name in names)

    def base(self, path: str) -> str:
        return self.doors(path)[0].url

    def hit_by(self, victim: str) -> frozenset[str]:
        return frozenset(self.hosts.get(victim, (victim,)))

    def processes(self, victim: str) -> list[psutil.Process]:
        if victim in self.brokers.victims:
            return self.brokers.processes(victim)
        if victim == "postgres":
            return server_processes(self.data_dir)
        names = self.hosts.get(victim, (victim,))
        return [process for name in names for process in self._started.live(name)]

    def bring_back(self, victim: str) -> None:
        if victim in self.brokers.victims:
            self.brokers.tend()
        elif victim == "postgres":
            eventually_sync(self._start_server, timeout_seconds=BACK_SECONDS, what="the server starts")
        else:
            self._started.bring_back(self.hosts.get(victim, (victim,)))

    def tend(self) -> None:
        """Start again what has ended by itself: crash-only processes count on it."""
        for name in self._started.ended():
            self._started.again(name)
        self.brokers.tend()

    def stop(self) -> None:
        self._stop.close()

    def _start_server(self) -> bool:
        self._server.ensure_running()
        return answers(self._url)

    def _url_of(self, name: str) -> str:
        return f"{LOOPBACK}:{self._ports[name]}"


def wait_until_ready(urls: Iterable[str]) -> None:
    """Wait until every api answers."""
    for url in urls:
        eventually_sync(partial(is_ready, url), timeout_seconds=BACK_SECONDS, what=f"{url} is ready")
