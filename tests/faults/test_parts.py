"""Parts of the fault suite that can be wrong by themselves: schedule, journal, end of a run, arithmetic."""

import json
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from tests.faults import totals
from tests.faults.checks import deadlines
from tests.faults.halt import Halt
from tests.faults.schedule import faults


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


def test_a_pause_puts_off_what_comes_after_it() -> None:
    pauses = [(at(1), at(3)), (at(4), at(5))]
    assert deadlines.after(at(0), 1, pauses) == at(1)
    assert deadlines.after(at(0), 1.5, pauses) == at(3.5)
    assert deadlines.after(at(0), 3, pauses) == at(6)
