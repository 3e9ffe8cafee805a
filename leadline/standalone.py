"""`leadline up`: keeps the database, the api and the work process alive until stopped.

Everything lies in one data directory; started again on it, Leadline goes on where it was.
"""

import asyncio
import contextlib
import errno
import fcntl
import hashlib
import math
import os
import shutil
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from leadline.children import Child, ChildSpec, Pipes
from leadline.first_keys import FirstKeys, administrator, kept_keys, store_keys
from leadline.runtime_file import read_running
from leadline.same_log import another_log
from shared.bus.choice import describe, kafka_options, settings_of_bus
from shared.bus.port import BusForbids, BusUnavailable
from shared.db.embedded import EmbeddedPostgres, EmbeddedUnavailable
from shared.db.errors import is_transient
from shared.db.pool import UnsafeServer, check_server
from shared.db.roles import roles_sql, roles_usable
from shared.db.schema_version import has_pending
from shared.process import listen, stop_on_signals

if TYPE_CHECKING:
    from shared.settings import ServiceSettings

LISTEN_DESCRIPTOR_VARIABLE = "LEADLINE_LISTEN_DESCRIPTOR"
# The processes of a supervisor that was killed give the port up when they have drained.
PORT_PATIENCE_SECONDS = 15.0
# Brokers that start beside us, or are started again, take no longer.
BUS_PATIENCE_SECONDS = 60.0
BUS_LOOK_SECONDS = 0.5
READY_PATIENCE_SECONDS = 60.0
DATABASE_CHECK_SECONDS = 0.5
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 the folder made in it is ours alone
# Each process has three files of a megabyte, and may be started again many times.
METRICS_ROOM = 32_000_000


class CannotStart(Exception):
    """`leadline up` cannot start; the message says why, `fix` what to do."""

    def __init__(self, message: str, fix: str = "") -> None:
        super().__init__(message)
        self.fix = fix


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line said. `database_url` None: the embedded PostgreSQL in `data_dir`."""

    data_dir: Path
    host: str
    port: int
    database_url: str | None = None
    demo: bool = False


@dataclass(frozen=True, slots=True)
class Ready:
    """What a user has to know of a Leadline that has started."""

    url: str
    storage: str
    bus: str
    keys: Mapping[str, str]
    database_url: str


# Shows what happens to leads until the event is set; see `leadline.console`.
Follow = Callable[[Ready, asyncio.Event], Awaitable[None]]


class Storage:
    """The database: the embedded server, started and kept running, or somebody else's by URL."""

    def __init__(self, options: Options) -> None:
        self._embedded = None if options.database_url else EmbeddedPostgres(options.data_dir)
        # The asyncpg URL of the database, known before the server runs.
        self.url = options.database_url or (self._embedded.url() if self._embedded else "")

    async def start(self) -> None:
        """Start the server if it is ours."""
        if self._embedded is not None:
            await asyncio.to_thread(self._embedded.start)

    def describe(self) -> str:
        """Return a line for people; never with a password in it."""
        if self._embedded is not None:
            return f"embedded PostgreSQL in {self._embedded.data}"
        return "PostgreSQL at " + self.url.rpartition("@")[2].partition("?")[0]

    async def keep_running(self, stop: asyncio.Event, say: Callable[[str], None]) -> None:
        """Start our server again whenever it is gone, until `stop`."""
        while not await _waited(stop, DATABASE_CHECK_SECONDS):
            if self._embedded is None:
                continue
            try:
                if await asyncio.to_thread(self._embedded.ensure_running):
                    say("PostgreSQL was gone; started it again")
            except EmbeddedUnavailable as failed:
                say(f"PostgreSQL does not start again yet: {failed}")

    async def stop(self) -> None:
        if self._embedded is not None:
            await asyncio.to_thread(self._embedded.stop)

    def stop_at_once(self) -> None:
        """Tell our server to end without a checkpoint; it recovers from its log at the next start."""
        if self._embedded is not None and self._embedded.is_running() and (pid := self._embedded.pid()):
            os.kill(pid, signal.SIGQUIT)


async def prepare_bus(
    database_url: str,
    say: Callable[[str], None],
    stop: asyncio.Event,
    *,
    patience_seconds: float = BUS_PATIENCE_SECONDS,
) -> None:
    """Wait for the bus, and create what topics are missing on Kafka; on Postgres the migrations declare them.

    Raises CannotStart where it does not come, refuses a topic, or is another bus than before.
    """
    settings = settings_of_bus()
    clock, told = asyncio.get_running_loop(), False
    deadline = clock.time() + patience_seconds
    while not stop.is_set():
        try:
            # First: nothing is to be made on a cluster that is none of ours.
            await check_log(database_url)
            if settings is not None:
                await _create_topics(settings)
        except BusUnavailable as away:
            if clock.time() >= deadline:
                raise CannotStart(f"{describe(settings)} cannot be used: {away}", _fix(settings)) from away
            if not told:
                say(f"waiting for {describe(settings)}: {away}")
                told = True
        else:
            return
        await _waited(stop, BUS_LOOK_SECONDS)


def _fix(settings: "ServiceSettings | None") -> str:
    if settings is None:
        return "is the database up?"
    return "is the broker up, and LEADLINE_KAFKA_BOOTSTRAP right?"


async def _create_topics(settings: "ServiceSettings") -> None:
    from shared.bus.kafka.topics import CannotCreate, create

    try:
        await create(kafka_options(settings))
    except (CannotCreate, BusForbids) as refused:
        raise CannotStart(
            f"Kafka refuses: {refused}", "may this user describe and create topics?"
        ) from refused


async def check_log(database_url: str) -> None:
    """Raise CannotStart where the services have read another log than the one that the settings name.

    Raises BusUnavailable.
    """
    from leadline.follow import opened_bus

    async with opened_bus(database_url) as bus:
        log = await bus.identity()
    try:
        async with administrator(database_url) as connection:
            detail = await another_log(connection, log.cluster)
    except Exception as fault:
        if not is_transient(fault):
            raise
        raise BusUnavailable("the database does not tell which log it is to be") from fault
    if detail is not None:
        raise CannotStart(
            f"{detail}: what was taken in on one bus is not on another",
            f"set LEADLINE_BUS as before (now it is {describe(settings_of_bus())}), or another --data-dir",
        )


def check_settings() -> None:
    """Raise UnusableSettings where no part could start with what the environment says."""
    if not any(name.startswith("LEADLINE_") for name in os.environ):
        return
    # Here, since they take long to load, and most starts go by what is built in.
    from services.ingest.settings import IngestSettings
    from services.routing.settings import RoutingSettings
    from services.scoring.settings import ScoringSettings

    for settings in (IngestSettings, ScoringSettings, RoutingSettings):
        settings()


def metrics_folder(data_dir: Path) -> Path:
    """Return where the processes count together, so that the api's `/metrics` tells of all of them.

    The files are mapped into memory: on a disk that is full, writing to one kills the process. So they lie
    in memory where the system has such a place.
    """
    if not os.access(SHARED_MEMORY, os.W_OK) or shutil.disk_usage(SHARED_MEMORY).free < METRICS_ROOM:
        return data_dir / "metrics"
    name = hashlib.sha256(f"{os.geteuid()} {data_dir.resolve()}".encode()).hexdigest()
    return SHARED_MEMORY / f"leadline-metrics-{name[:16]}"


class Standalone:
    """The supervisor: `run` returns when Leadline has been stopped and everything has ended."""

    def __init__(self, options: Options, *, say: Callable[[str], None]) -> None:
        self._options = options
        self._say = say
        self._metrics_folder = metrics_folder(options.data_dir)
        self._children: dict[str, Child] = {}

    async def run(self, announce: Callable[[Ready], None], follow: Follow) -> None:
        """Start everything, `announce` that it is ready, then `follow` what happens until stopped."""
        self._options.data_dir.mkdir(parents=True, exist_ok=True)
        (self._options.data_dir / "logs").mkdir(exist_ok=True)
        _empty(self._metrics_folder)
        with _locked(self._options.data_dir):
            storage = Storage(self._options)

            def draining() -> None:
                self._say("finishing what is in hand; once more to stop at once")

            def at_once() -> None:
                for child in self._children.values():
                    child.kill()
                storage.stop_at_once()

            async with stop_on_signals(draining=draining, at_once=at_once) as stop:
                with await self._listener(stop) as listener:
                    await self._supervise(stop, storage, listener, announce, follow)
            shutil.rmtree(self._metrics_folder, ignore_errors=True)

    async def _supervise(
        self,
        stop: asyncio.Event,
        storage: Storage,
        listener: socket.socket,
        announce: Callable[[Ready], None],
        follow: Follow,
    ) -> None:
        keys = kept_keys(self._options.data_dir)
        url = self._url(listener)
        ready = Ready(url, storage.describe(), describe(settings_of_bus()), keys.by_scope, storage.url)
        pipes = Pipes()
        try:
            # Loading their code takes the children longer than anything else: they do it meanwhile.
            tasks: list[asyncio.Future[None]] = [
                asyncio.create_task(child.run(stop))
                for child in self._make_children(ready, listener, keys.site, pipes)
            ]
            try:
                await asyncio.to_thread(check_settings)
                await storage.start()
                await self._prepare(storage.url, keys)
                if not await self._prepare_bus(storage.url, stop):
                    tasks.append(asyncio.create_task(self._prepare_bus_later(storage.url, stop)))
                pipes.open_gate()
                tasks.append(asyncio.create_task(storage.keep_running(stop, self._say)))
                await self._wait_ready(url, stop, tasks)
                if not stop.is_set():
                    announce(ready)
                    tasks.append(asyncio.create_task(while_running(follow(ready, stop), stop)))
                await _all_or_first_fault(tasks)
            finally:
                stop.set()
                await asyncio.gather(*tasks, return_exceptions=True)
        finally:
            await storage.stop()

    def _make_children(
        self, ready: Ready, listener: socket.socket, site_key: str, pipes: Pipes
    ) -> list[Child]:
        logs = self._options.data_dir / "logs"
        environment = {
            "LEADLINE_DATABASE_URL": ready.database_url,
            "LEADLINE_DATA_DIR": str(self._options.data_dir.resolve()),
            "LEADLINE_PUBLIC_URL": ready.url,
            "LEADLINE_SITE_WRITE_KEY": site_key,
            "PROMETHEUS_MULTIPROC_DIR": str(self._metrics_folder.resolve()),
        }
        descriptor = listener.fileno()
        specs = [
            ChildSpec(
                "api",
                ("api",),
                {**environment, LISTEN_DESCRIPTOR_VARIABLE: str(descriptor)},
                logs / "api.log",
                (descriptor,),
            ),
            ChildSpec("work", ("work",), environment, logs / "work.log"),
        ]
        if self._options.demo:
            demo = {"LEADLINE_URL": ready.url, "LEADLINE_API_KEY": ready.keys["admin"]}
            specs.append(
                ChildSpec("demo", (), {**environment, **demo}, logs / "demo.log", module="leadline.demo")
            )
        self._children = {spec.name: Child(spec, pipes, self._say) for spec in specs}
        return list(self._children.values())

    async def _prepare(self, database_url: str, keys: FirstKeys) -> None:
        """Check the server, bring the database to the newest revision, store the first keys."""
        async with administrator(database_url) as connection:
            try:
                await check_server(connection)
            except UnsafeServer as unsafe:
                raise CannotStart(str(unsafe), "leadline doctor --database URL") from unsafe
            behind = await has_pending(connection)
        if behind:
            await asyncio.to_thread(_upgrade, database_url)
        async with administrator(database_url) as connection:
            await store_keys(connection, keys)
            if not await roles_usable(connection):
                user = await connection.fetchval("SELECT current_user")
                self._say(
                    "the services share one database role; an administrator gives them their own with\n"
                    f"{roles_sql(user)}\nthen `leadline db upgrade` puts the walls up"
                )

    async def _prepare_bus(self, database_url: str, stop: asyncio.Event) -> bool:
        """Make the bus ready; return whether it was there, or raise CannotStart.

        Where Leadline has run before it starts without: the doors are to take in, over the spool.
        """
        first = read_running(self._options.data_dir) is None
        patience = BUS_PATIENCE_SECONDS if first else 0.0
        try:
            await prepare_bus(database_url, self._say, stop, patience_seconds=patience)
        except CannotStart as away:
            if first or not isinstance(away.__cause__, BusUnavailable):
                raise
            self._say(f"{away}; starting without it, tracking waits in the spool")
            return False
        return True

    async def _prepare_bus_later(self, database_url: str, stop: asyncio.Event) -> None:
        """Make the bus ready once it comes. Nothing ends for its sake: the doors take in over the spool."""
        told = ""
        while not stop.is_set():
            try:
                await prepare_bus(database_url, lambda _: None, stop, patience_seconds=math.inf)
            except CannotStart as refused:
                if str(refused) != told:
                    self._say(f"nothing goes to the bus yet: {refused} ({refused.fix})")
                told = str(refused)
                await _waited(stop, BUS_LOOK_SECONDS)
            else:
                break
        if not stop.is_set():
            self._say(f"{describe(settings_of_bus())} is there")

    async def _listener(self, stop: asyncio.Event) -> socket.socket:
        before = read_running(self._options.data_dir)
        ours = before is not None and before.url.endswith(f":{self._options.port}")
        patience = PORT_PATIENCE_SECONDS if ours else 1.0
        deadline = asyncio.get_running_loop().time() + patience
        while True:
            try:
                return listen(self._options.host, self._options.port)
            except OSError as taken:
                if asyncio.get_running_loop().time() > deadline or await _waited(stop, 0.2):
                    raise CannotStart(
                        f"cannot listen on {self._options.host}:{self._options.port}: {taken.strerror}",
                        "leadline up --port 8081" if taken.errno == errno.EADDRINUSE else "--host 127.0.0.1",
                    ) from taken

    def _url(self, listener: socket.socket) -> str:
        # The lint fears listening on every address; here one is only read, to say where a person finds us.
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self._options.host, self._options.host)  # noqa: S104
        return f"http://{host}:{listener.getsockname()[1]}"

    async def _wait_ready(self, url: str, stop: asyncio.Event, tasks: list[asyncio.Future[None]]) -> None:
        import httpx2  # here: the children are loading by now

        deadline = asyncio.get_running_loop().time() + READY_PATIENCE_SECONDS
        async with httpx2.AsyncClient(base_url=url, timeout=2.0, trust_env=False) as client:
            while not await _waited(stop, 0.05):
                with contextlib.suppress(httpx2.HTTPError):
                    if (await client.get("/readyz")).status_code == httpx2.codes.OK:
                        return
                for task in tasks:
                    if task.done():
                        task.result()
                if asyncio.get_running_loop().time() > deadline:
                    logs = self._options.data_dir / "logs"
                    raise CannotStart(
                        f"the api is not ready after {READY_PATIENCE_SECONDS:.0f} s", f"tail {logs}/*.log"
                    )


def _upgrade(database_url: str) -> None:
    # Here, since most starts find nothing to migrate, and the tool takes long to load.
    from shared.db.migrate import upgrade

    upgrade(database_url)


def _empty(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)


@contextmanager
def _locked(data_dir: Path) -> Iterator[None]:
    with (data_dir / "leadline.lock").open("a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as held:
            raise CannotStart(
                f"a Leadline runs on {data_dir} already", f"leadline status --data-dir {data_dir}"
            ) from held
        yield


async def _waited(stop: asyncio.Event, seconds: float) -> bool:
    """Wait at most `seconds` for `stop`; return whether it is set."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
    return stop.is_set()


async def while_running(following: Awaitable[None], stop: asyncio.Event) -> None:
    """Await `following`, but not beyond `stop`: its question may hang at our socket when nobody serves it."""
    tasks = [asyncio.ensure_future(following), asyncio.create_task(stop.wait())]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await tasks[0]


async def _all_or_first_fault(tasks: list[asyncio.Future[None]]) -> None:
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    for task in done:
        task.result()
