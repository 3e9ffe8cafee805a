"""What stands between a request and a dependency that is away: the breaker, the last good sources."""

import asyncio
import math
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from services.ingest.adapters.guards import Breaker, GuardedLog, GuardedStore, Patience
from services.ingest.adapters.last_good_sources import LastGoodSources
from services.ingest.usecases.follow_sources import CurrentSources, SourcesUnavailable
from services.ingest.usecases.ports import StoreUnavailable
from services.ingest.usecases.push_sources import push_sources, version_of
from shared.bus.port import BusForbids, BusUnavailable, Outgoing, UnknownTopic
from tests.support.eventually import eventually


class _Watch:
    """A monotonic clock that a test moves."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class _Log:
    """A bus that is away until told otherwise."""

    away = True
    silent = False
    calls = 0

    async def append(self, messages: Sequence[Outgoing]) -> None:
        self.calls += 1
        if self.silent:
            await asyncio.Event().wait()
        if self.away:
            raise BusUnavailable("away")


async def _fails(guarded: GuardedLog) -> None:
    with pytest.raises(BusUnavailable):
        await guarded.append([])


async def test_after_three_failures_the_bus_is_left_alone_for_a_while() -> None:
    log, watch = _Log(), _Watch()
    guarded = GuardedLog(log, Breaker("bus", Patience(), monotonic=watch))
    for _ in range(10):
        await _fails(guarded)
    assert log.calls == 3
    watch.now = 2.1
    await _fails(guarded)
    await _fails(guarded)
    assert log.calls == 4
    watch.now = 4.3
    log.away = False
    await guarded.append([])
    await guarded.append([])
    assert log.calls == 6


async def test_while_one_caller_tries_a_silent_bus_the_others_are_turned_away() -> None:
    log, watch = _Log(), _Watch()
    guarded = GuardedLog(log, Breaker("bus", Patience(timeout_seconds=0.05), monotonic=watch))
    for _ in range(3):
        await _fails(guarded)
    watch.now, log.silent = 2.1, True
    await asyncio.gather(*(_fails(guarded) for _ in range(5)))
    assert log.calls == 4


async def test_a_success_forgets_earlier_failures() -> None:
    log, watch = _Log(), _Watch()
    breaker = Breaker("bus", Patience(), monotonic=watch)
    guarded = GuardedLog(log, breaker)
    for away in (True, True, False, True, True):
        log.away = away
        await (_fails(guarded) if away else guarded.append([]))
    assert not breaker.is_open


@pytest.mark.parametrize(
    "fault",
    [UnknownTopic("no such topic"), BusForbids("not ours"), asyncpg.InsufficientPrivilegeError("not ours")],
    ids=type,
)
async def test_a_bus_that_lacks_a_topic_or_our_rights_is_away(fault: Exception) -> None:
    class Unprepared:
        async def append(self, messages: Sequence[Outgoing]) -> None:
            raise fault

    await _fails(GuardedLog(Unprepared(), Breaker("bus", Patience())))


async def test_where_others_find_out_no_caller_tries() -> None:
    log, watch = _Log(), _Watch()
    breaker = Breaker("bus", Patience(failures_to_open=1, open_seconds=math.inf), monotonic=watch)
    guarded = GuardedLog(log, breaker)
    await _fails(guarded)
    watch.now, log.away = 1e6, False
    await _fails(guarded)
    assert log.calls == 1
    breaker.worked()
    await guarded.append([])
    assert log.calls == 2


class _Store:
    """A store whose transactions fail as told, when they begin or when they commit."""

    def __init__(self, fault: BaseException | None = None) -> None:
        self.fault = fault
        self.opened = 0

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Any]:
        self.opened += 1
        yield self
        if self.fault is not None:
            raise self.fault


async def test_a_transaction_that_fails_for_the_moment_is_told_from_a_bug() -> None:
    breaker = Breaker("database", Patience(failures_to_open=1, open_seconds=math.inf))
    with pytest.raises(KeyError):
        async with GuardedStore(_Store(KeyError("a bug")), breaker).transaction():
            pass
    assert not breaker.is_open
    for passing in (ConnectionError("gone"), asyncpg.UndefinedTableError("dropped")):
        store = _Store(passing)
        breaker.worked()
        for _ in range(3):
            with pytest.raises(StoreUnavailable):
                async with GuardedStore(store, breaker).transaction():
                    pass
        assert store.opened == 1


async def test_a_transaction_that_hangs_is_given_up_in_time() -> None:
    store = _Store()
    breaker = Breaker("database", Patience(timeout_seconds=0.02, failures_to_open=1, open_seconds=math.inf))
    with pytest.raises(StoreUnavailable):
        async with GuardedStore(store, breaker).transaction():
            await asyncio.Event().wait()
    assert breaker.is_open


GOOD = "version: 1\nsources:\n  website:\n    email: email\n"


class _Configs:
    """A store of one file that may be away."""

    def __init__(self, text: str | None) -> None:
        self.text = text
        self.away = False
        self.asked = 0
        self.answered = 0
        self.hangs: asyncio.Event | None = None

    async def active(self) -> tuple[str, str, datetime] | None:
        self.asked += 1
        if self.away:
            raise ConnectionError
        if self.hangs is not None:
            await self.hangs.wait()
        self.answered += 1
        return (version_of(self.text), self.text, datetime.now(UTC)) if self.text else None

    async def activate(self, version: str, document: str, *, actor: str) -> None:
        self.text = document

    async def install_default(self, version: str, document: str) -> None:
        self.text = self.text or document


async def test_a_new_file_is_followed_within_its_time() -> None:
    configs, watch = _Configs(GOOD), _Watch()
    current = CurrentSources(configs, monotonic=watch, max_age_seconds=2.0)
    assert set((await current.get()).by_name) == {"website"}
    configs.text = GOOD + "  shop:\n    email: email\n"
    assert set((await current.get()).by_name) == {"website"}
    watch.now = 2.1
    assert set((await current.get()).by_name) == {"website", "shop"}
    assert configs.asked == 2


@pytest.mark.parametrize("fault", ["away", "unreadable"])
async def test_the_last_good_file_serves_while_there_is_none(fault: str) -> None:
    configs, watch = _Configs(GOOD), _Watch()
    current = CurrentSources(configs, monotonic=watch)
    await current.get()
    configs.away = fault == "away"
    configs.text = "version: 99"
    watch.now = 60.0
    assert set((await current.get()).by_name) == {"website"}


async def test_while_the_store_is_away_nobody_waits_for_it_twice() -> None:
    configs, watch = _Configs(GOOD), _Watch()
    current = CurrentSources(configs, monotonic=watch)
    await current.get()
    configs.away = True
    watch.now = 3.0
    await current.get()
    configs.away, configs.text, configs.hangs = False, GOOD + "  shop:\n    email: email\n", asyncio.Event()
    watch.now = 6.0
    assert set((await current.get()).by_name) == {"website"}
    configs.hangs.set()
    await eventually(lambda: configs.answered == 2, what="an answer behind the callers' backs")
    assert set((await current.get()).by_name) == {"website", "shop"}


async def test_the_last_good_file_outlives_a_restart(tmp_path: Path) -> None:
    configs, kept = _Configs(GOOD), LastGoodSources(tmp_path / "new" / "sources.yaml")
    await CurrentSources(configs, last_good=kept).get()
    configs.away = True
    assert set((await CurrentSources(configs, last_good=kept).get()).by_name) == {"website"}


async def test_sources_pushed_here_are_the_last_good_ones(tmp_path: Path) -> None:
    configs, kept = _Configs(GOOD), LastGoodSources(tmp_path / "sources.yaml")
    current = CurrentSources(configs, last_good=kept, max_age_seconds=0.0)
    await current.get()
    pushed = GOOD + "  shop:\n    email: email\n"
    current.replace(await push_sources(pushed, configs, actor="somebody"), pushed)
    assert set((await current.get()).by_name) == {"website", "shop"}
    configs.away = True
    assert set((await CurrentSources(configs, last_good=kept).get()).by_name) == {"website", "shop"}


@pytest.mark.parametrize("unreadable", [b"\xff", b"version: 99", b"{no yaml"])
async def test_a_last_good_file_that_cannot_be_read_is_none(tmp_path: Path, unreadable: bytes) -> None:
    configs, file = _Configs(GOOD), tmp_path / "sources.yaml"
    file.write_bytes(unreadable)
    current = CurrentSources(configs, last_good=LastGoodSources(file), max_age_seconds=0.0)
    configs.away = True
    with pytest.raises(SourcesUnavailable):
        await current.get()
    configs.away = False
    assert set((await current.get()).by_name) == {"website"}


async def test_without_any_file_the_caller_is_told_to_try_again() -> None:
    configs = _Configs(GOOD)
    configs.away = True
    with pytest.raises(SourcesUnavailable):
        await CurrentSources(configs).get()
