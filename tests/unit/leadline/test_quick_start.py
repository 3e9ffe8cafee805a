"""What a start must not load or wait for, so that it stays quick, and a stop too."""

import asyncio
import subprocess
import sys

import pytest

from leadline.standalone import while_running


@pytest.mark.parametrize(
    ("modules", "kept_out"),
    [
        ("leadline.cli.up, leadline.standalone", {"fastapi", "uvicorn", "pydantic", "sqlalchemy", "alembic"}),
        ("leadline.api, leadline.work", {"sqlalchemy", "alembic", "holidays"}),
    ],
)
def test_a_process_does_not_load_what_only_others_need(modules: str, kept_out: set[str]) -> None:
    told = subprocess.run(
        [sys.executable, "-c", f"import sys, {modules}; print(*sys.modules)"],
        check=True,
        capture_output=True,
        text=True,
    )
    loaded = set(told.stdout.split())
    assert "asyncpg" in loaded
    assert not kept_out & loaded


async def test_a_stop_does_not_wait_for_a_question_that_nobody_answers() -> None:
    stop, asked = asyncio.Event(), asyncio.Event()

    async def hang() -> None:
        asked.set()
        await asyncio.Event().wait()

    watching = asyncio.create_task(while_running(hang(), stop))
    await asked.wait()
    assert not watching.done()
    stop.set()
    await asyncio.wait_for(watching, 5)


async def test_a_fault_of_what_is_followed_is_heard() -> None:
    async def fail() -> None:
        raise LookupError("a bug")

    with pytest.raises(LookupError):
        await while_running(fail(), asyncio.Event())
