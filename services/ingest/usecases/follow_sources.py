"""Follows the active sources file, and keeps the last good one while the store is away."""

import asyncio
import time
from collections.abc import Callable
from typing import Protocol

from services.ingest.domain.source import Sources
from services.ingest.usecases.ports import SourceConfigs
from services.ingest.usecases.push_sources import read_sources
from shared.config_file import ConfigError


class SourcesUnavailable(Exception):
    """No sources file was ever read, and the store does not answer."""


class LastGood(Protocol):
    """Keeps the text of the last good sources file, for a restart while the store is away."""

    def read(self) -> str | None: ...

    def write(self, text: str) -> None: ...

    def not_understood(self) -> None:
        """Note that the text read is none of this release, and is taken for none."""


class CurrentSources:
    """The active sources, at most `max_age_seconds` old while the store answers.

    Once it does not, nobody waits for it any more: it is asked behind the callers' backs.
    """

    def __init__(
        self,
        configs: SourceConfigs,
        *,
        last_good: LastGood | None = None,
        max_age_seconds: float = 2.0,
        timeout_seconds: float = 1.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._configs = configs
        self._last_good = last_good
        self._max_age_seconds = max_age_seconds
        self._timeout_seconds = timeout_seconds
        self._monotonic = monotonic
        self._sources: Sources | None = None
        self._read_at = float("-inf")
        self._reading = asyncio.Lock()
        self._away = False
        self._behind: asyncio.Task[None] | None = None

    async def get(self) -> Sources:
        """Return the active sources, or the last good ones; raise SourcesUnavailable where there are none."""
        if self._fresh() is None:
            if self._away and self._sources is not None:
                self._read_at = self._monotonic()
                self._behind = asyncio.create_task(self._refresh())
                return self._sources
            async with self._reading:
                if self._fresh() is None:
                    await self._refresh()
        if self._sources is None:
            raise SourcesUnavailable("the sources cannot be read")
        return self._sources

    def replace(self, sources: Sources, text: str) -> None:
        """Take over what was just activated, and the text that it was read from."""
        self._read_at = self._monotonic()
        self._keep(sources, text)

    def _fresh(self) -> Sources | None:
        return self._sources if self._monotonic() - self._read_at < self._max_age_seconds else None

    async def _refresh(self) -> None:
        # Set first: while the store is away, one caller in `max_age_seconds` pays for asking.
        self._read_at = self._monotonic()
        try:
            async with asyncio.timeout(self._timeout_seconds):
                found = await self._configs.active()
        except Exception as away:
            self._away = True
            self._take_last_good()
            if self._sources is None:
                raise SourcesUnavailable("the sources cannot be read") from away
            return
        self._away = False
        if found and (self._sources is None or found[0] != self._sources.version):
            self._take(found[1])

    def _take(self, text: str) -> None:
        try:
            sources = read_sources(text)
        except ConfigError:
            # An older release may not know the newest file: it stays with the one that it understood.
            return
        self._keep(sources, text)

    def _keep(self, sources: Sources, text: str) -> None:
        self._sources = sources
        if self._last_good is not None:
            self._last_good.write(text)

    def _take_last_good(self) -> None:
        if self._sources is None and self._last_good is not None and (text := self._last_good.read()):
            try:
                self._sources = read_sources(text)
            except ConfigError:
                # A newer release may have written it. Callers hear that there are none now, and no fault.
                self._last_good.not_understood()
