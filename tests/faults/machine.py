"""A Leadline to be struck, as the controller and the clients see it, and how to ask whether it is well."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import asyncpg
import httpx2
import psutil

from tests.faults.brokers import Brokers, NoBrokers
from tests.faults.spoilables import Spoilables

BACK_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Door:
    """An address, and the victim that answers there."""

    victim: str
    url: str


class Machine(Protocol):
    """What the controller strikes and the clients talk to. Everything but PostgreSQL runs twice."""

    name: str
    data_dir: Path
    victims: tuple[str, ...]
    # Victims in which routing's timer runs.
    timers: tuple[str, ...]
    # What can be spoilt without a signal, by the victims' names under which it is struck.
    spoilables: Spoilables
    # Victims that are lost together, by the name under which all of them are struck.
    hosts: Mapping[str, Sequence[str]]
    # What an upgrade ends and starts again, in turn.
    restarted: Sequence[str]
    # Faults that this run has to do without, in sentences.
    lacks: tuple[str, ...]
    brokers: Brokers | NoBrokers

    @property
    def keys(self) -> Mapping[str, str]: ...

    @property
    def database_url(self) -> str: ...

    def doors(self, path: str) -> tuple[Door, ...]:
        """Return who answers `path`: an api of each instance."""
        ...

    def base(self, path: str) -> str:
        """Return one address that answers `path`."""
        ...

    def hit_by(self, victim: str) -> frozenset[str]:
        """Return all that is down while `victim` is."""
        ...

    def processes(self, victim: str) -> list[psutil.Process]:
        """Return the live processes of a victim, the first one first."""
        ...

    def bring_back(self, victim: str) -> None:
        """Start a killed victim where nobody else does."""
        ...

    def tend(self) -> None:
        """Start again what has ended by itself, where nobody else does."""
        ...

    def stop(self) -> None: ...


def query(url: str, sql: str, *values: object) -> object:
    """Return the single value that the server answers, None where it does not answer."""

    async def ask() -> object:
        connection = await asyncpg.connect(url, timeout=3)
        try:
            return await connection.fetchval(sql, *values, timeout=3)
        finally:
            connection.terminate()

    with suppress(OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return asyncio.run(ask())
    return None


def answers(url: str) -> bool:
    """Return whether the server takes a connection and a query."""
    return query(url, "SELECT true") is True


def is_ready(base: str) -> bool:
    """Return whether an api says that it is ready."""
    try:
        return httpx2.get(f"{base}/readyz", timeout=2.0, trust_env=False).status_code == httpx2.codes.OK
    except httpx2.HTTPError:
        return False
