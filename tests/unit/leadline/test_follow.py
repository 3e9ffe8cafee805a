"""The lines of `leadline up`: whatever the database does, they wait for it and the supervisor lives on."""

import asyncio
from pathlib import Path

import pytest

from leadline import follow
from leadline.console import Line
from leadline.standalone import Ready
from shared.bus.port import BusUnavailable


async def test_a_connection_cut_in_the_middle_of_an_answer_is_waited_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop, calls = asyncio.Event(), list[int]()

    async def lines(_self: follow.Follower, _http: object) -> list[Line]:
        calls.append(1)
        if len(calls) == 1:
            raise BusUnavailable("InternalClientError")
        stop.set()
        return []

    monkeypatch.setattr(follow.Follower, "lines", lines)
    ready = Ready("http://127.0.0.1:1", "here", "postgres", {"read": "key"}, "postgresql://nowhere")
    await asyncio.wait_for(follow.follow_leads(lambda _: None, tmp_path)(ready, stop), 10)
    assert len(calls) == 2
