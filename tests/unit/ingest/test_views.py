"""Ingest's part of status and reconciliation, where the disk is asked."""

import threading
from pathlib import Path
from typing import Any, cast

import pytest

from services.ingest.adapters import views
from services.ingest.adapters.views import IngestViews


class _Quarantine:
    """One that finds nothing to tell."""

    async def status(self) -> dict[str, Any]:
        return {}

    async def contradictions(self) -> dict[str, Any]:
        return {}


class _Bus:
    """One without messages."""

    async def heads(self, topic: str) -> dict[Any, Any]:
        return {}


@pytest.mark.parametrize("asked", ["status", "reconcile"])
async def test_a_disk_that_hangs_while_the_spool_is_looked_at_holds_up_nobody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:
    look, threads = views.spooled, list[int]()

    def noted(folder: Path) -> Any:
        threads.append(threading.get_ident())
        return look(folder)

    monkeypatch.setattr(views, "spooled", noted)
    await getattr(IngestViews(cast(Any, _Quarantine()), cast(Any, _Bus()), tmp_path), asked)()
    assert len(threads) == 1
    assert threading.get_ident() not in threads
