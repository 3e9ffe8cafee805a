"""A process that starts while its database is away waits for it, and says so to who asks."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

import httpx2
import pytest

from shared import http_server, patience
from shared.bus.port import BusUnavailable
from shared.http_server import answering_meanwhile
from shared.patience import enter_when_there
from shared.process import listen

Opening = Callable[[], AbstractAsyncContextManager[str]]


def opening(*faults: Exception) -> tuple[Opening, list[str]]:
    """Return what fails with one fault after the other and then opens, and what became of it."""
    left, seen = list(faults), list[str]()

    @asynccontextmanager
    async def opened() -> AsyncIterator[str]:
        if left:
            raise left.pop(0)
        seen.append("opened")
        yield "it"
        seen.append("closed")

    return opened, seen


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "FIRST_PAUSE_SECONDS", 0.001)
    monkeypatch.setattr(http_server, "SILENT_SECONDS", 0.0)


async def test_it_opens_once_the_faults_have_passed_and_closes_with_the_stack() -> None:
    once_there, seen = opening(ConnectionRefusedError(), TimeoutError(), BusUnavailable("away"))
    async with AsyncExitStack() as stack:
        assert await enter_when_there(stack, once_there, asyncio.Event()) == "it"
        assert seen == ["opened"]
    assert seen == ["opened", "closed"]


async def test_a_fault_that_does_not_pass_by_itself_is_not_waited_out() -> None:
    broken, seen = opening(LookupError("no such role"))
    async with AsyncExitStack() as stack:
        with pytest.raises(LookupError):
            await enter_when_there(stack, broken, asyncio.Event())
    assert seen == []


async def test_who_is_asked_to_stop_waits_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "FIRST_PAUSE_SECONDS", 60.0)
    away, seen = opening(*(OSError() for _ in range(100)))
    stop = asyncio.Event()
    async with AsyncExitStack() as stack:
        waiting = asyncio.create_task(enter_when_there(stack, away, stop))
        asyncio.get_running_loop().call_soon(stop.set)
        assert await asyncio.wait_for(waiting, 10) is None
    assert seen == []


async def test_meanwhile_clients_hear_503_and_the_socket_serves_on_afterwards() -> None:
    with listen("127.0.0.1", 0) as listener:
        base = f"http://127.0.0.1:{listener.getsockname()[1]}"
        async with httpx2.AsyncClient(base_url=base, trust_env=False, timeout=10) as client:
            async with answering_meanwhile(listener):
                form = await client.post("/v1/forms/website", json={"email": "ada@example.com"})
                ready, alive = await client.get("/readyz"), await client.get("/livez")
            assert (form.status_code, form.json()["code"]) == (503, "starting")
            assert form.headers["retry-after"] == "2"
            assert ready.status_code == 503
            assert ready.json()["checks"] == {"database": "does not answer yet"}
            assert alive.status_code == 200
        assert listener.fileno() != -1


async def test_a_start_that_goes_well_answers_nothing_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "SILENT_SECONDS", 60.0)
    with listen("127.0.0.1", 0) as listener:
        async with answering_meanwhile(listener):
            pass
        assert listener.fileno() != -1
