"""Each check of the fault suite is shown what it is there to find; and good evidence passes all."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import pytest

from shared.contracts import handoffs as told
from shared.ids import event_id
from tests.faults.checks import arrivals, clocks, handoffs, settled
from tests.faults.controller import Disturbance
from tests.faults.evidence import Evidence
from tests.faults.journal import Entry
from tests.faults.run import CHECKS, Check
from tests.faults.schedule import faults

T0 = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
EVENT, FORM = event_id("site", "m-1"), "00000000-0000-0000-0000-000000000001"


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def event(sequence: int, type: str, seconds: float, **data: Any) -> dict[str, Any]:
    when = at(seconds).isoformat()
    return {
        "sequence": sequence,
        "id": f"e-{sequence}",
        "type": type,
        "time": when,
        "subject": "ld_1",
        "data": {"lead_id": "ld_1", "at": when, **data},
    }


def good() -> Evidence:
    """One lead whose first rep let two seconds pass, and whose second accepted, twice."""
    terms = {"warnings": [1], "target_seconds": 2, "ladder": [{"after_seconds": 1}]}
    clock = {"lead_id": "ld_1", "kind": "accept", "body": {"terms": terms}}
    handoff = {"lead_id": "ld_1", "cycle": 1}
    same = [200, '{"state":"accepted"}']
    return Evidence(
        tables={
            "timeline": [
                {"event_id": EVENT, "source": "site", "kind": "page", "name": ""},
                {"event_id": FORM, "source": "website", "kind": "form", "name": ""},
            ],
            "receipts": [{"state": "mapped", "event_id": FORM, "raw": b'{"submission_token": "f-1"}'}],
            "quarantine": [{"id": "q-1", "message_id": "m-2", "state": "held"}],
            "letters": [],
            "handoffs": [
                handoff | {"handoff_id": "ho_1", "closed_at": at(3.1)},
                handoff | {"handoff_id": "ho_2", "closed_at": None},
            ],
            "acts": [{"handoff_id": "ho_2", "act": "accept", "actor": "ana"}],
            "clocks": [
                clock | {"clock_id": "ck_1", "started_at": at(0), "stopped_at": at(3.1)},
                clock | {"clock_id": "ck_2", "started_at": at(3.1), "stopped_at": at(3.5)},
            ],
            "outages": [],
            "snapshots": [
                {
                    "lead_id": "ld_1", "epoch": 1, "revision": 2, "routing_epoch": 1, "routing_revision": 2,
                    "survivor_id": None,
                }
            ],
            "leads": [
                {"lead_id": "ld_1", "state": "accepted", "cycle": 1, "body": {"enters": True, "cycle": 1}}
            ],
        },
        feed=[
            event(1, told.ASSIGNED, 0, handoff_id="ho_1"),
            event(2, told.SLA_WARNED, 1, clock_id="ck_1"),
            event(3, told.SLA_BREACHED, 2.1, clock_id="ck_1"),
            event(4, told.SLA_ESCALATED, 3.1, clock_id="ck_1", rung=1),
            event(5, told.CLOSED, 3.1, handoff_id="ho_1"),
            event(6, told.ASSIGNED, 3.1, handoff_id="ho_2"),
            event(7, told.ACCEPTED, 3.5, handoff_id="ho_2"),
        ],
        followed=[f"e-{number}" for number in range(1, 8)],
        journal=[
            *(Entry(0, "event", one, "invoke") for one in ("m-1", "m-2")),
            *(Entry(0, "event", one, "ok", [200, ""]) for one in ("m-1", "m-2")),
            Entry(0, "form", "f-1", "invoke"),
            Entry(0, "form", "f-1", "unknown", [503, ""]),
            Entry(0, "form", "f-1", "ok", [200, ""]),
            *(Entry(0, "act", "ho_2 accept", outcome, same) for outcome in ("invoke", "ok", "ok")),
        ],
        disturbances=[],
        status={},
        reconcile={"findings": [{"check": "all", "checked": 1, "problems": []}]},
    )  # fmt: skip


def with_table(name: str, *rows: Mapping[str, Any], keep: int = 99) -> Evidence:
    evidence = good()
    return replace(evidence, tables={**evidence.tables, name: [*evidence.tables[name][:keep], *rows]})


def changed(name: str, number: int, **fields: Any) -> Evidence:
    evidence = good()
    rows = [dict(row) for row in evidence.tables[name]]
    rows[number] |= fields
    return replace(evidence, tables={**evidence.tables, name: rows})


def with_feed(*numbers: int, **extra: Any) -> Evidence:
    feed = {one["sequence"]: one for one in good().feed} | extra.get("more", {})
    return replace(good(), feed=[feed[number] for number in numbers])


def journal_of(*entries: Entry) -> Evidence:
    return replace(good(), journal=[*good().journal, *entries])


BROKEN: tuple[tuple[Check, Evidence], ...] = (
    (arrivals.events_arrive_once, with_table("timeline", keep=0)),
    (arrivals.events_arrive_once, with_table("quarantine", {"message_id": "m-1"})),
    (arrivals.forms_arrive_once, with_table("receipts", keep=0)),
    (arrivals.forms_arrive_once, with_table("receipts", good().tables["receipts"][0])),
    (arrivals.forms_arrive_once, with_table("timeline", keep=1)),
    (arrivals.nothing_is_made_up, with_table("timeline", {"event_id": "other", "source": "site"})),
    (arrivals.nothing_good_is_refused, journal_of(Entry(0, "event", "m-1", "fail", [400, ""]))),
    (arrivals.nothing_good_is_refused, with_table("letters", {"service": "scoring", "code": "bug"})),
    (arrivals.everything_is_acknowledged_in_the_end, journal_of(Entry(0, "event", "m-3", "invoke"))),
    (arrivals.nobody_waits_for_long, journal_of(Entry(0, "event", "m-1", "unknown", "ReadTimeout"))),
    (arrivals.no_fault_is_ours, journal_of(Entry(0, "event", "m-1", "unknown", [500, ""]))),
    (handoffs.never_two_open, changed("handoffs", 0, closed_at=at(3.2))),
    (handoffs.feed_tells_each_once, with_feed(1, 2, 3, 4, 6, 7)),
    (handoffs.feed_tells_each_once, with_feed(1, 1, 2, 3, 4, 5, 6, 7)),
    (handoffs.clicks_count_once, with_table("acts", keep=0)),
    (handoffs.clicks_count_once, journal_of(Entry(0, "act", "ho_2 accept", "ok", [200, "other"]))),
    (handoffs.clicks_count_once, journal_of(Entry(0, "act", "ho_2 accept", "fail", [409, ""]))),
    (handoffs.reps_are_refused_for_cause, journal_of(Entry(0, "act", "ho_1 accept", "fail", [404, ""]))),
    (clocks.each_fires_once, with_feed(1, 2, 4, 5, 6, 7)),
    (clocks.each_fires_once, with_feed(1, 2, 2, 3, 4, 5, 6, 7)),
    (clocks.each_fires_once, changed("clocks", 0, stopped_at=at(1.5))),
    (clocks.none_is_early, changed("clocks", 0, started_at=at(0.2))),
    (clocks.none_is_late, changed("clocks", 0, started_at=at(-1))),
    (
        clocks.none_is_late,
        replace(changed("clocks", 0, started_at=at(-9)), disturbances=[Disturbance(at(-9), at(-8), "w", "")]),
    ),
    (settled.feed_is_dense, with_feed(2, 3, 4)),
    (settled.feed_is_dense, with_feed(1, 2, 4)),
    (settled.feed_is_dense, with_feed(1, 2, 2)),
    (settled.feed_is_ordered, with_feed(1, 3, 2)),
    (settled.followers_miss_nothing, replace(good(), followed=["e-1", "e-2"])),
    (settled.snapshots_arrive, changed("snapshots", 0, routing_revision=1)),
    (settled.nobody_is_in_limbo, changed("leads", 0, state="nurturing")),
    (settled.reconcile_is_clean, replace(good(), reconcile={"findings": []})),
    (
        settled.reconcile_is_clean,
        replace(good(), reconcile={"findings": [{"check": "all", "checked": 1, "problems": ["ld_1"]}]}),
    ),
    (settled.no_outage_is_invented, with_table("outages", {"began_at": at(0), "ended_at": at(70)})),
)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_good_evidence_passes(check: Check) -> None:
    assert list(check(good())) == []


@pytest.mark.parametrize(("check", "evidence"), BROKEN, ids=lambda one: getattr(one, "__name__", ""))
def test_broken_evidence_is_found(check: Check, evidence: Evidence) -> None:
    assert list(check(evidence)) != []


def test_every_check_has_been_seen_failing() -> None:
    assert {check for check, _ in BROKEN} == set(CHECKS)


def test_what_a_fault_delays_may_come_within_seconds_of_recovery() -> None:
    delayed = replace(
        changed("clocks", 0, started_at=at(-2)), disturbances=[Disturbance(at(-1.5), at(0.5), "work", "kill")]
    )
    assert list(clocks.none_is_late(delayed)) == []


def test_a_seed_gives_the_same_schedule_and_each_round_strikes_everybody() -> None:
    victims = ("api", "work", "postgres", "up")
    drawn = list(islice(faults(7, victims), 12))
    assert drawn == list(islice(faults(7, victims), 12))
    assert drawn != list(islice(faults(8, victims), 12))
    for start in (0, 4, 8):
        assert sorted(fault.victim for fault in drawn[start : start + 4]) == sorted(victims)


def test_a_journal_line_is_json_that_survives_a_crash(tmp_path: Any) -> None:
    from tests.faults.journal import Journal, read

    journal = Journal(tmp_path / "journal.jsonl")
    journal.note("event", ["m-1", "m-2"], "ok", [200, "{}"])
    # Not closed: what was noted is in the file all the same.
    assert [entry.id for entry in read(journal.path)] == ["m-1", "m-2"]
    assert json.loads(journal.path.read_text().splitlines()[0])["outcome"] == "ok"
    journal.close()
