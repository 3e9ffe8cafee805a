"""Parts of the fault suite that can be wrong by themselves: schedule, journal, end of a run, arithmetic."""

import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from tests.faults import totals
from tests.faults.checks import deadlines
from tests.faults.halt import Halt
from tests.faults.processes import Started
from tests.faults.schedule import SPOOL_DISK, UPGRADE, faults, with_once
from tests.faults.wrong_clocks import faketime, wrong_clocks


def at(seconds: float) -> datetime:
    return datetime(2026, 3, 2, 9, 0, tzinfo=UTC) + timedelta(seconds=seconds)


def test_a_seed_gives_the_same_schedule_and_each_round_strikes_everybody() -> None:
    victims = ("api", "work", "postgres", "up")
    drawn = list(islice(faults(7, victims), 80))
    assert drawn == list(islice(faults(7, victims), 80))
    assert drawn != list(islice(faults(8, victims), 80))
    for start in range(0, 80, 4):
        assert sorted(fault.victim for fault in drawn[start : start + 4]) == sorted(victims)
    second = [fault.then.victim for fault in drawn if fault.then and fault.then.victim != fault.victim]
    assert second
    assert "up" not in second
    assert {"kill", "freeze", "freeze_and_kill", "cut"} <= {fault.how for fault in drawn}


def test_a_full_spool_meets_a_place_that_is_away_and_a_clock_is_wrong_for_seconds() -> None:
    victims = ("api", "postgres", "line-to-brokers", "clock-ingest", SPOOL_DISK)
    drawn = list(islice(faults(7, victims), 100))
    for fault in drawn:
        if fault.victim == SPOOL_DISK:
            assert fault.how == "full"
            assert fault.then is not None
            assert fault.then.victim in ("postgres", "line-to-brokers")
        if fault.victim == "clock-ingest":
            assert fault.held > 1
    assert {"ahead", "behind", "one_way", "trickle"} <= {fault.how for fault in drawn}


def test_an_upgrade_comes_once_when_it_is_due() -> None:
    due = iter((False, False, True, True, True))
    drawn = list(islice(with_once(faults(7, ("api", "work", "host-second")), UPGRADE, lambda: next(due)), 6))
    assert [number for number, fault in enumerate(drawn) if fault is UPGRADE] == [2]


@pytest.mark.skipif(faketime() is None, reason="libfaketime is not installed")
def test_a_clock_set_wrong_changes_the_wall_clock_of_its_processes_alone(tmp_path: Path) -> None:
    clock = wrong_clocks(tmp_path, ["clock-ingest"])["clock-ingest"]
    clock.become("ahead")
    told = subprocess.run(
        [sys.executable, "-c", "import time; print(time.time(), time.monotonic())"],
        env={**os.environ, **clock.variables},
        capture_output=True,
        check=True,
    ).stdout.split()
    assert float(told[0]) - time.time() == pytest.approx(3600, abs=30)
    assert float(told[1]) == pytest.approx(time.monotonic(), abs=30)


def test_a_journal_line_is_json_that_survives_a_crash(tmp_path: Any) -> None:
    from tests.faults.journal import Journal, read

    journal = Journal(tmp_path / "journal.jsonl")
    journal.note("event", ["m-1", "m-2"], "ok", [200, "{}"])
    # Not closed: what was noted is in the file all the same.
    assert [entry.id for entry in read(journal.path)] == ["m-1", "m-2"]
    assert json.loads(journal.path.read_text().splitlines()[0])["outcome"] == "ok"
    journal.close()


def test_runs_are_added_up_and_what_they_fall_short_of_is_named(tmp_path: Any) -> None:
    file = tmp_path / "totals.jsonl"
    for clocks in (12_000, 8_000):
        totals.keep(file, "apart kafka seed 1", {"seconds": 600, "findings": 1, "clocks": clocks})
    line = totals.together(list(totals.kept(file)))
    assert line == "together 2 runs: 1200 s, 2 findings, 20000 clocks"
    totals.keep(file, "apart kafka seed 2", {"seconds": 60, "findings": 0, "process kills": 7})
    assert "7 process kills (of 300)" in totals.together(list(totals.kept(file)))


def test_a_run_lasts_until_it_has_struck_often_enough_and_not_for_ever() -> None:
    seconds = [0.0]
    halt, slow = (Halt(10, blows=blows, clock=lambda: seconds[0]) for blows in (1, 2))
    halt.struck()
    slow.struck()
    seconds[0] = 10
    assert halt.ending()
    assert not slow.ending()
    seconds[0] = 30
    assert slow.ending()
    assert not slow.given_up()
    seconds[0] = 120
    assert slow.given_up()


def test_a_run_of_which_a_part_has_failed_ends_at_once() -> None:
    halt = Halt(600, clock=lambda: 0.0)
    assert not halt.ending()
    halt.end()
    assert halt.ending()


def test_a_pause_puts_off_what_comes_after_it() -> None:
    pauses = [(at(1), at(3)), (at(4), at(5))]
    assert deadlines.after(at(0), 1, pauses) == at(1)
    assert deadlines.after(at(0), 1.5, pauses) == at(3.5)
    assert deadlines.after(at(0), 3, pauses) == at(6)


def test_what_a_second_blow_had_started_again_is_not_waited_for(tmp_path: Path) -> None:
    started = Started(tmp_path, "", {})
    started.add("a", ["http.server", "--bind", "127.0.0.1", "0"], tmp_path)
    try:
        (first,) = started.live("a")
        started.bring_back(["a"])
        assert started.live("a") == [first]
        first.kill()
        first.wait(10)
        started.bring_back(["a"])
        assert started.live("a") not in ([], [first])
    finally:
        started.stop()
