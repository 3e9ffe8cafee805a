"""What stands between a request and a dependency that is away: the breaker, the last good sources."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from services.ingest.adapters.guarded_log import GuardedLog
from services.ingest.usecases.follow_sources import CurrentSources, SourcesUnavailable
from services.ingest.usecases.push_sources import version_of
from shared.bus.port import BusUnavailable, Outgoing


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
    guarded = GuardedLog(log, monotonic=watch, open_seconds=2.0)
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
    guarded = GuardedLog(log, monotonic=watch, open_seconds=2.0, timeout_seconds=0.05)
    for _ in range(3):
        await _fails(guarded)
    watch.now, log.silent = 2.1, True
    await asyncio.gather(*(_fails(guarded) for _ in range(5)))
    assert log.calls == 4


async def test_a_success_forgets_earlier_failures() -> None:
    log, watch = _Log(), _Watch()
    guarded = GuardedLog(log, monotonic=watch)
    for away in (True, True, False, True, True):
        log.away = away
        await (_fails(guarded) if away else guarded.append([]))
    assert not guarded.is_open


GOOD = "version: 1\nsources:\n  website:\n    email: email\n"


class _Configs:
    """A store of one file that may be away."""

    def __init__(self, text: str | None) -> None:
        self.text = text
        self.away = False
        self.asked = 0

    async def active(self) -> tuple[str, str, datetime] | None:
        self.asked += 1
        if self.away:
            raise ConnectionError
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


async def test_without_any_file_the_caller_is_told_to_try_again() -> None:
    configs = _Configs(GOOD)
    configs.away = True
    with pytest.raises(SourcesUnavailable):
        await CurrentSources(configs).get()
