"""Each check of the fault suite is shown what it is there to find; and good evidence passes all."""

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.scoring.domain.identity import Identity
from services.scoring.domain.line import Line
from services.scoring.domain.score import Score
from shared.contracts import handoffs as told
from shared.ids import event_id
from tests.faults.checks import arrivals, clocks, commands, handoffs, outages, scores, settled
from tests.faults.controller import Disturbance
from tests.faults.evidence import Evidence
from tests.faults.journal import Entry
from tests.faults.run import CHECKS, Check
from tests.faults.schedule import EVERYTHING

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


def done(op: str, name: str, status: int, **body: Any) -> Entry:
    return Entry(0, op, name, "ok" if status < 400 else "fail", [status, json.dumps(body)])


def paused(clock: Mapping[str, Any], *spans: tuple[float, float]) -> dict[str, Any]:
    """A clock paused from and until these seconds, each pause with what is left of two seconds."""
    pauses = [
        {
            "reason": "meeting",
            "started_at": at(began).isoformat(),
            "limit_at": at(began + 2).isoformat(),
            "ended_at": at(ended).isoformat(),
        }
        for began, ended in spans
    ]
    return {**clock, "body": {**clock["body"], "pauses": pauses}}


def good() -> Evidence:
    """One lead whose first rep let two seconds pass, and whose second accepted, twice."""
    terms = {
        "warnings": [1], "target_seconds": 2, "ladder": [{"after_seconds": 1}],
        "pauses": [{"reason": "meeting", "limit_seconds": 2}],
    }  # fmt: skip
    clock = {"lead_id": "ld_1", "kind": "accept", "body": {"terms": terms, "pauses": []}}
    handoff = {"lead_id": "ld_1", "cycle": 1, "acts": []}
    won = {"name": "accept", "by": "crm-1.accept", "at": at(3.5).isoformat()}
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
                handoff | {"handoff_id": "ho_2", "closed_at": None, "acts": [won]},
            ],
            "parked": [{"parked_id": "pk_1", "act": "win", "body": {"note": "crm-2.win.0"}}],
            "transitions": [],
            "redirects": [{"lead_id": "ld_2", "survivor_id": "ld_1", "at": at(-5)}],
            "splits": [{"lead_id": "ld_3", "from_id": "ld_1", "at": at(-4)}],
            "unmerged": [
                {"told": {"lead_id": "ld_1", "new_lead_id": "ld_3", "unmerged_at": at(-4).isoformat()}}
            ],
            "scoring_redirects": [{"lead_id": "ld_2", "survivor_id": "ld_1"}],
            "hand_links": [{"a": "e ada@example.com", "b": "e home@example.com", "event_id": "by hand"}],
            "acts": [{"handoff_id": "ho_2", "act": "accept", "actor": "ana"}],
            "clocks": [
                clock
                | {"clock_id": "ck_1", "handoff_id": "ho_1", "started_at": at(0), "stopped_at": at(3.1)},
                paused(clock, (3.2, 4.2))
                | {"clock_id": "ck_2", "handoff_id": "ho_2", "started_at": at(3.1), "stopped_at": at(3.5)},
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
            done("feedback", "crm-1.accept.0", 200, changed=True, parked_id=None),
            done("feedback", "crm-1.accept.1", 200, changed=False, parked_id=None),
            done("feedback", "crm-2.win.0", 202, changed=False, parked_id="pk_1"),
            done("pause", "ho_2 0", 200, paused="meeting"),
            done("merge", "merge-1 ld_1 ld_2", 200, lead_id="ld_1"),
            done("unmerge", "unmerge-1 ld_1", 200, lead_id="ld_1", new_lead_id="ld_3"),
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


def struck(begin: float, end: float, victim: str = "work") -> Disturbance:
    return Disturbance(at(begin), at(end), at(end), victim, "kill")


OUTAGE = {"began_at": at(0.2), "ended_at": at(66)}


def broken_down(*, outages: Any = (OUTAGE,), marked: bool = True, acted: float = 68.1) -> Evidence:
    """The same clock through an outage of over a minute: its breach is ours, the rep has two seconds more."""
    evidence = changed("clocks", 0, stopped_at=at(acted))
    rows = [dict(row) for row in evidence.tables["clocks"]]
    terms = rows[0]["body"]["terms"] | {"ladder": [{"after_seconds": 1, "action": "reassign"}]}
    rows[0]["body"] = rows[0]["body"] | {"terms": terms}
    moved = {
        2: event(2, told.SLA_WARNED, 66.1, clock_id="ck_1"),
        3: event(3, told.SLA_BREACHED, 66.1, clock_id="ck_1", during_outage=marked),
        4: event(4, told.SLA_ESCALATED, acted, clock_id="ck_1", rung=1),
    }
    return replace(
        evidence,
        tables={**evidence.tables, "clocks": rows, "outages": outages},
        feed=[moved.get(one["sequence"], one) for one in evidence.feed],
        disturbances=[replace(struck(0.5, 67, EVERYTHING), since=at(65))],
    )


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
    (handoffs.never_two_open, changed("handoffs", 0, lead_id="ld_9")),
    (handoffs.feed_tells_each_once, with_feed(1, 2, 3, 4, 6, 7)),
    (handoffs.feed_tells_each_once, with_feed(1, 1, 2, 3, 4, 5, 6, 7)),
    (handoffs.clicks_count_once, with_table("acts", keep=0)),
    (handoffs.clicks_count_once, journal_of(Entry(0, "act", "ho_2 accept", "ok", [200, "other"]))),
    (handoffs.clicks_count_once, journal_of(Entry(0, "act", "ho_2 accept", "fail", [409, ""]))),
    (handoffs.reps_are_refused_for_cause, journal_of(Entry(0, "act", "ho_1 accept", "fail", [404, ""]))),
    (commands.feedback_is_never_refused, journal_of(done("feedback", "crm-1.accept.0", 409))),
    (
        commands.feedback_is_never_refused,
        journal_of(done("feedback", "crm-1.accept.0", 200, changed=False, parked_id=None)),
    ),
    (commands.illegal_feedback_is_parked_once, with_table("parked", keep=0)),
    (commands.illegal_feedback_is_parked_once, with_table("parked", good().tables["parked"][0])),
    (
        commands.illegal_feedback_is_parked_once,
        with_table("parked", {"parked_id": "pk_2", "body": {"note": "crm-1.accept.1"}}),
    ),
    (commands.feedback_counts_once, changed("handoffs", 1, acts=[])),
    (commands.feedback_counts_once, changed("handoffs", 1, acts=[*good().tables["handoffs"][1]["acts"]] * 2)),
    (
        commands.feedback_counts_once,
        with_table("transitions", {"handoff_id": None, "actor": {"by": "crm-2.win"}}),
    ),
    (commands.pauses_count_once, changed("clocks", 1, body=good().tables["clocks"][0]["body"])),
    (commands.pauses_count_once, changed("clocks", 0, body=good().tables["clocks"][1]["body"])),
    (commands.pauses_count_once, journal_of(done("pause", "ho_1 0", 404))),
    (commands.merges_count_once, with_table("scoring_redirects", keep=0)),
    (commands.merges_count_once, with_table("hand_links", keep=0)),
    (commands.merges_count_once, with_table("hand_links", {"a": "one more"})),
    (commands.unmerges_count_once, with_table("splits", keep=0)),
    (
        commands.unmerges_count_once,
        with_table("splits", {"lead_id": "ld_4", "from_id": "ld_1", "at": at(-3)}),
    ),
    (
        commands.unmerges_count_once,
        journal_of(done("unmerge", "unmerge-2 ld_1", 200, lead_id="ld_1", new_lead_id="ld_3")),
    ),
    (commands.stewards_are_refused_for_cause, journal_of(done("merge", "merge-2 ld_1 ld_2", 404))),
    (clocks.each_fires_once, with_feed(1, 2, 4, 5, 6, 7)),
    (clocks.each_fires_once, with_feed(1, 2, 2, 3, 4, 5, 6, 7)),
    (clocks.each_fires_once, changed("clocks", 0, stopped_at=at(1.5))),
    (clocks.none_is_early, changed("clocks", 0, started_at=at(0.2))),
    (clocks.none_is_late, changed("clocks", 0, started_at=at(-1))),
    (
        clocks.none_is_late,
        replace(changed("clocks", 0, started_at=at(-9)), disturbances=[struck(-9, -8)]),
    ),
    (clocks.none_is_early, changed("clocks", 0, body=paused(good().tables["clocks"][0], (0.5, 1.5))["body"])),
    (
        clocks.pauses_keep_their_limit,
        changed("clocks", 1, body=paused(good().tables["clocks"][0], (3.2, 4.4), (4.5, 5.5))["body"]),
    ),
    (
        clocks.pauses_keep_their_limit,
        changed("clocks", 1, body=paused(good().tables["clocks"][0], (3.2, 4.2), (4.1, 4.5))["body"]),
    ),
    (outages.outages_are_recorded_once, with_table("outages", {"began_at": at(0), "ended_at": at(70)})),
    (outages.outages_are_recorded_once, broken_down(outages=[])),
    (outages.outages_are_recorded_once, broken_down(outages=[OUTAGE, OUTAGE])),
    (outages.outages_are_recorded_once, broken_down(outages=[OUTAGE | {"ended_at": at(60)}])),
    (clocks.none_is_early, broken_down(acted=65.9)),
    (outages.breaches_know_their_outage, broken_down(marked=False)),
    (outages.breaches_know_their_outage, replace(broken_down(), tables=good().tables)),
    (clocks.none_is_early, broken_down(acted=67)),
    (settled.feed_is_dense, with_feed(2, 3, 4)),
    (settled.feed_is_dense, with_feed(1, 2, 4)),
    (settled.feed_is_dense, with_feed(1, 2, 2)),
    (settled.feed_is_ordered, with_feed(1, 3, 2)),
    (settled.followers_miss_nothing, replace(good(), followed=["e-1", "e-2"])),
    (settled.snapshots_arrive, changed("snapshots", 0, routing_revision=1)),
    (settled.nobody_is_in_limbo, changed("leads", 0, state="nurturing")),
    (settled.nobody_waits_in_a_ring, replace(good(), server_log=["10:00 [7] ERROR:  deadlock detected"])),
    (settled.reconcile_is_clean, replace(good(), reconcile={"findings": []})),
    (
        settled.reconcile_is_clean,
        replace(good(), reconcile={"findings": [{"check": "all", "checked": 1, "problems": ["ld_1"]}]}),
    ),
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
    delayed = replace(changed("clocks", 0, started_at=at(-2)), disturbances=[struck(-1.5, 0.5)])
    assert list(clocks.none_is_late(delayed)) == []


def test_a_hand_off_is_followed_through_merges_and_splits() -> None:
    evidence = with_table("splits", {"lead_id": "ld_4", "from_id": "ld_1", "at": at(3.2)})
    rows = [dict(row) for row in evidence.tables["handoffs"]]
    again = {**rows[1], "handoff_id": "ho_3", "closed_at": None}
    rows = [*rows, again]
    rows[1]["lead_id"] = "ld_4"
    parted = replace(
        evidence,
        tables={**evidence.tables, "handoffs": rows},
        feed=[*evidence.feed, event(8, told.ASSIGNED, 4, handoff_id="ho_3")],
    )
    assert list(handoffs.never_two_open(parted)) == []
    merged = {"lead_id": "ld_4", "survivor_id": "ld_5", "at": at(3.1)}
    rows[1]["lead_id"] = "ld_5"
    onward = replace(parted, tables={**parted.tables, "redirects": [merged]})
    assert list(handoffs.never_two_open(onward)) == [], "merged on before the split was heard of"
    rows[1]["lead_id"] = "ld_1"
    assert list(handoffs.never_two_open(parted)) != []


def test_who_clicks_again_after_a_time_out_may_be_sent_to_the_successor() -> None:
    late = journal_of(Entry(at(4).timestamp(), "act", "ho_2 accept", "fail", [409, ""]))
    rows = [dict(row) for row in late.tables["handoffs"]]

    def closed(outcome: str, seconds: float) -> Evidence:
        rows[1] |= {"closed_at": at(seconds), "outcome": outcome}
        return replace(late, tables={**late.tables, "handoffs": rows})

    assert list(handoffs.clicks_count_once(closed("timed_out", 3.9))) == []
    assert list(handoffs.clicks_count_once(closed("timed_out", 4.1))) != []
    acts = [{"handoff_id": "ho_2", "act": "reject", "actor": "ana"}]
    refused = replace(
        closed("rejected", 3.9),
        journal=[Entry(at(4).timestamp(), "act", "ho_2 reject", "fail", [409, ""])],
        tables={**late.tables, "handoffs": rows, "acts": acts},
    )
    assert list(handoffs.clicks_count_once(refused)) != []


@pytest.mark.parametrize("check", [*outages.CHECKS, *clocks.CHECKS], ids=lambda check: check.__name__)
def test_a_rep_gets_the_time_back_that_an_outage_took(check: Check) -> None:
    assert list(check(broken_down())) == []


def test_what_falls_apart_with_a_lead_that_was_merged_on_at_once_was_split_off_by_its_unmerge() -> None:
    fell_apart = {"lead_id": "ld_1", "new_lead_id": "ld_4", "unmerged_at": at(-4).isoformat()}
    evidence = with_table("unmerged", {"told": fell_apart})
    tables = {
        **evidence.tables,
        "splits": [{"lead_id": "ld_4", "from_id": "ld_1", "at": at(-3.9)}],
        "redirects": [
            *evidence.tables["redirects"],
            {"lead_id": "ld_3", "survivor_id": "ld_1", "at": at(-3)},
        ],
    }
    assert list(commands.unmerges_count_once(replace(evidence, tables=tables))) == []
    later = {"told": {**fell_apart, "unmerged_at": at(-2).isoformat()}}
    other = {**tables, "unmerged": [*good().tables["unmerged"], later]}
    assert list(commands.unmerges_count_once(replace(evidence, tables=other))) != []


def test_a_score_that_differs_from_an_undisturbed_run_is_found() -> None:
    ada, home = Identity("email", "ada@example.com"), Identity("email", "home@example.com")
    line = Line("fit", "title", "rule", 20_000, "Title")
    mine = Score(at(0), "m1", 20_000, 0, "C4", (line,), enters=False, holds=False)
    said = {name: getattr(mine, name) for name in scores.COMPARED} | {"lines": [asdict(line)]}
    told_of = scores.Told({ada: "ld_1"}, {"ld_1": said})

    def differences(members: frozenset[Identity], **changes: Any) -> list[str]:
        return list(scores.unlike(told_of, {members: replace(mine, **changes)}, lines=True))

    assert differences(frozenset({ada})) == []
    assert differences(frozenset({ada}), fit=30_000, lines=(replace(line, points=30_000),)) != []
    assert differences(frozenset({ada}), lines=(replace(line, rule="other"),)) != []
    assert differences(frozenset({ada, home})) != []
    together = scores.Told({ada: "ld_1", home: "ld_1"}, {"ld_1": said})
    assert list(scores.unlike(together, {frozenset({ada}): mine})) != []


def test_a_contact_that_a_crm_has_told_of_before_is_no_news() -> None:
    told_of = journal_of(Entry(0, "act", "ho_2 contact", "ok", [200, "{}"]))
    assert list(handoffs.clicks_count_once(told_of)) != []
    rows = [dict(row) for row in told_of.tables["handoffs"]]
    rows[1]["acts"] = [*rows[1]["acts"], {"name": "contact", "by": "crm-3.contact"}]
    assert (
        list(handoffs.clicks_count_once(replace(told_of, tables={**told_of.tables, "handoffs": rows}))) == []
    )
