"""Each check of the fault suite is shown what it is there to find; and good evidence passes all."""

from dataclasses import asdict, replace
from typing import Any

import pytest

from services.scoring.domain.identity import Identity
from services.scoring.domain.line import Line
from services.scoring.domain.score import Score
from shared.contracts import handoffs as told
from shared.contracts.topics import ACTIVITY
from tests.faults.brokers import ALL
from tests.faults.checks import (
    arrivals,
    audit,
    clocks,
    commands,
    handoffs,
    liveness,
    log,
    outages,
    scores,
    settled,
)
from tests.faults.evidence import Evidence
from tests.faults.good_evidence import (
    EVENT,
    LOG,
    OUTAGE,
    apart,
    at,
    broken_down,
    changed,
    decision,
    done,
    event,
    good,
    healed,
    journal_of,
    log_of,
    logged,
    moved,
    paused,
    struck,
    with_feed,
    with_table,
)
from tests.faults.journal import Entry
from tests.faults.run import CHECKS, Check

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
    (log.offsets_are_dense, log_of(LOG[0], logged(2, "x-2"))),
    (log.offsets_are_dense, log_of(LOG[0], LOG[0])),
    (log.what_was_read_stays, log_of(*LOG[1:])),
    (log.what_was_read_stays, log_of(LOG[0]._replace(digest=b"other"), *LOG[1:])),
    (log.what_was_read_stays, replace(good(), seen={})),
    (log.what_is_committed_is_sent, log_of(LOG[0], LOG[2])),
    (log.what_is_committed_is_sent, changed("outbox", 0, sent=False)),
    (log.nothing_else_is_sent, log_of(*LOG, logged(2, "x-3"))),
    (log.nothing_else_is_sent, log_of(*LOG, logged(1, "other", ACTIVITY.name))),
    (log.each_lead_is_told_in_order, log_of(logged(0, "x-2"), logged(1, "x-1"))),
    (log.everything_is_handled_once, changed("positions", 0, next_offset=1)),
    (log.everything_is_handled_once, changed("positions", 0, handled=3)),
    (log.everything_is_handled_once, with_table("positions", keep=1)),
    (audit.moves_lead_to_states, with_table("moves", keep=2)),
    (audit.moves_lead_to_states, with_table("moves", moved("accepted", "won"), moved("won", "accepted"))),
    (audit.moves_lead_to_states, with_table("moves", moved("working", "accepted", "merged"))),
    (audit.moves_are_told, with_table("moves", keep=2)),
    (audit.moves_are_told, with_feed(1, 2, 3, 4, 5, 6, 7, 8, 9)),
    (audit.moves_are_told, with_feed(1, 2, 3, 4, 5, 6, 7, 9, 8, 10)),
    (audit.turns_are_fair, with_table("decisions", decision(2, "ana", {"ana": 1, "ben": 0}), keep=1)),
    (audit.turns_are_fair, with_table("decisions", decision(3, "ben", {"ana": 1, "ben": 0}))),
    (audit.turns_are_fair, with_table("decisions", keep=1)),
    (audit.turns_are_fair, with_table("teams", keep=0)),
    (
        audit.nobody_acts_after_a_merge,
        with_table("redirects", {"lead_id": "ld_1", "survivor_id": "ld_2", "at": at(9)}),
    ),
    (
        audit.nobody_acts_after_a_merge,
        with_table("redirects", {"lead_id": "ld_1", "survivor_id": "ld_9", "at": at(2)}, keep=0),
    ),
    (
        audit.nobody_acts_after_a_merge,
        with_table("scoring_redirects", {"lead_id": "ld_1", "survivor_id": "ld_2"}),
    ),
    (audit.cycles_grow_by_one, apart(cycle=2)),
    (audit.cycles_grow_by_one, apart(opened=[3], cycle=3)),
    (audit.cycles_grow_by_one, apart(opened=[2, 2, 1], cycle=1)),
    (liveness.sites_are_heard_again, healed("event", 9)),
    (liveness.commands_are_taken_again, healed("act", 9)),
    (
        liveness.the_log_goes_on,
        replace(healed("event", 2, "broker-1"), log=[logged(0, EVENT, ACTIVITY.name, 20)]),
    ),
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


@pytest.mark.parametrize(
    ("check", "evidence"),
    [
        (liveness.sites_are_heard_again, healed("form", 3)),
        (liveness.commands_are_taken_again, healed("feedback", 3)),
        (
            liveness.the_log_goes_on,
            replace(healed("event", 2, ALL), log=[logged(0, EVENT, ACTIVITY.name, 20)]),
        ),
        (audit.cycles_grow_by_one, apart(opened=[2, 3], cycle=3)),
        (log.each_lead_is_told_in_order, log_of(*LOG[:2], logged(2, "x-1"), logged(3, "x-2"))),
    ],
    ids=lambda one: getattr(one, "__name__", ""),
)
def test_what_is_allowed_is_no_finding(check: Check, evidence: Evidence) -> None:
    assert list(check(evidence)) == []


def test_nobody_waits_for_what_nobody_asks() -> None:
    later = [Entry(at(9.5).timestamp(), "act", "ho_2 accept", outcome) for outcome in ("invoke", "ok")]
    idle = replace(good(), journal=later, disturbances=[struck(0, 1)])
    assert list(liveness.commands_are_taken_again(idle)) == []


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
    rows[1]["lead_id"], rows[2]["lead_id"] = "ld_4", "ld_5"
    emptied = {"lead_id": "ld_1", "survivor_id": "ld_5", "at": at(3.2)}
    split_before = replace(parted, tables={**parted.tables, "redirects": [emptied]})
    assert list(handoffs.never_two_open(split_before)) == [], "split and merged in the same batch"
    rows[1]["lead_id"], rows[2]["lead_id"] = "ld_1", "ld_1"
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


def test_a_whole_second_in_the_feed_comes_before_its_fractions() -> None:
    first, second = good().feed[:2]
    times = "2026-03-01T12:00:05Z", "2026-03-01T12:00:05.500000Z"
    feed = [{**event, "time": time} for event, time in zip((first, second), times, strict=True)]
    assert list(settled.feed_is_ordered(replace(good(), feed=feed))) == []
    assert list(settled.feed_is_ordered(replace(good(), feed=feed[::-1]))) != []


def test_a_contact_that_a_crm_has_told_of_before_is_no_news() -> None:
    told_of = journal_of(Entry(0, "act", "ho_2 contact", "ok", [200, "{}"]))
    assert list(handoffs.clicks_count_once(told_of)) != []
    rows = [dict(row) for row in told_of.tables["handoffs"]]
    rows[1]["acts"] = [*rows[1]["acts"], {"name": "contact", "by": "crm-3.contact"}]
    assert (
        list(handoffs.clicks_count_once(replace(told_of, tables={**told_of.tables, "handoffs": rows}))) == []
    )
