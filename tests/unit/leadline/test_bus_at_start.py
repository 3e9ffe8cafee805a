"""A Leadline that starts while its Kafka is away waits for it, says so once, and gives up in the end."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from leadline import standalone
from leadline.runtime_file import Running, write_running
from leadline.standalone import CannotStart, Options, Standalone, prepare_bus
from shared.bus.kafka.options import KafkaOptions
from shared.bus.port import BusUnavailable

NOWHERE = "postgresql://nowhere"


class Cluster:
    """Takes the place of creating topics: away for so many tries."""

    def __init__(self, away: float) -> None:
        self.away = away
        self.tries = 0

    async def create(self, options: KafkaOptions) -> Sequence[str]:
        self.tries += 1
        if self.tries <= self.away:
            raise BusUnavailable("nobody listens")
        return []


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standalone, "BUS_LOOK_SECONDS", 0.001)
    monkeypatch.setenv("LEADLINE_BUS", "kafka")
    monkeypatch.setattr(standalone, "check_log", the_same_log)


async def the_same_log(_database_url: str) -> None:
    """Take the place of a look at what the services have read."""


def put(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    monkeypatch.setattr("shared.bus.kafka.topics.create", cluster.create)
    return cluster


async def test_brokers_that_come_later_are_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster, said = put(Cluster(away=3), monkeypatch), list[str]()
    await prepare_bus(NOWHERE, said.append, asyncio.Event())
    assert cluster.tries == 4
    assert len(said) == 1
    assert "waiting for Apache Kafka" in said[0]


async def test_brokers_that_never_come_end_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    put(Cluster(away=float("inf")), monkeypatch)
    with pytest.raises(CannotStart, match="cannot be used: nobody listens"):
        await prepare_bus(NOWHERE, lambda _: None, asyncio.Event(), patience_seconds=0.01)


async def test_whoever_is_stopped_meanwhile_waits_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    put(Cluster(away=float("inf")), monkeypatch)
    stop = asyncio.Event()
    await prepare_bus(NOWHERE, lambda _: stop.set(), stop)


async def test_who_has_run_before_starts_without_and_hears_when_they_are_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cluster, said, stop = put(Cluster(away=3), monkeypatch), list[str](), asyncio.Event()
    write_running(tmp_path, Running("http://127.0.0.1:1", {}, NOWHERE))
    leadline = Standalone(Options(tmp_path, "127.0.0.1", 0), say=said.append)
    assert not await leadline._prepare_bus(NOWHERE, stop)
    assert cluster.tries == 1
    await leadline._prepare_bus_later(NOWHERE, stop)
    assert cluster.tries == 4
    assert ["starting without" in said[0], "is there" in said[1], len(said)] == [True, True, 2]


async def test_the_first_start_waits_for_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    cluster = put(Cluster(away=2), monkeypatch)
    leadline = Standalone(Options(tmp_path, "127.0.0.1", 0), say=lambda _: None)
    assert await leadline._prepare_bus(NOWHERE, asyncio.Event())
    assert cluster.tries == 3


async def test_nothing_is_made_on_another_bus_than_before(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def another(_database_url: str) -> None:
        raise CannotStart("scoring reads the log of cluster A, and this is B")

    monkeypatch.setattr(standalone, "check_log", another)
    cluster = put(Cluster(away=0), monkeypatch)
    write_running(tmp_path, Running("http://127.0.0.1:1", {}, NOWHERE))
    leadline = Standalone(Options(tmp_path, "127.0.0.1", 0), say=lambda _: None)
    with pytest.raises(CannotStart, match="and this is B"):
        await leadline._prepare_bus(NOWHERE, asyncio.Event())
    assert cluster.tries == 0


async def test_another_bus_that_comes_later_ends_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    said, looks = list[str](), list[str]()

    async def another_at_first(database_url: str) -> None:
        looks.append(database_url)
        if len(looks) < 3:
            raise CannotStart("the installation uses the log of cluster A, and this is B")

    monkeypatch.setattr(standalone, "check_log", another_at_first)
    cluster = put(Cluster(away=0), monkeypatch)
    leadline = Standalone(Options(tmp_path, "127.0.0.1", 0), say=said.append)
    await leadline._prepare_bus_later(NOWHERE, asyncio.Event())
    assert cluster.tries == 1
    assert ["and this is B" in said[0], "is there" in said[1], len(said)] == [True, True, 2]


async def test_on_postgres_there_is_nothing_to_wait_for(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = put(Cluster(away=0), monkeypatch)
    monkeypatch.setenv("LEADLINE_BUS", "postgres")
    await prepare_bus(NOWHERE, lambda _: None, asyncio.Event())
    assert cluster.tries == 0
