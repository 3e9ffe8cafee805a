"""The transition table as DESIGN states it, and what each command does to a lead in each state."""

from dataclasses import replace
from datetime import timedelta

import pytest

from services.routing.domain.lifecycle import (
    ACTS,
    TABLE,
    Accept,
    Assign,
    ClockChange,
    Command,
    Contact,
    CoolDownEnd,
    Disqualify,
    Enqueue,
    Erase,
    EvaluateSnapshot,
    HandBack,
    HandoffClosed,
    IllegalMove,
    LeadRecord,
    Lose,
    Move,
    PassToCloser,
    Qualify,
    Reassign,
    Recycle,
    Reject,
    Reopen,
    State,
    UnknownReason,
    UnknownStage,
    Win,
    legal_acts,
)
from tests.support.routing_leads import BILAL, CLOCK, DAY, NOW, RECYCLE, WAYS, do, in_state

# Section 5 of DESIGN, state by state, apart from `erased`, which all can reach.
DESIGN: dict[State, set[State]] = {
    "nurturing": {"qualified", "disqualified"},
    "qualified": {"assigned", "nurturing", "disqualified"},
    "assigned": {"accepted", "qualified", "recycled", "disqualified"},
    "accepted": {"working", "qualified", "recycled", "disqualified"},
    "working": {"opportunity", "qualified", "recycled", "disqualified"},
    "opportunity": {"won", "lost", "recycled"},
    "won": {"qualified"},
    "lost": {"recycled"},
    "recycled": {"nurturing", "disqualified"},
    "disqualified": {"nurturing"},
}
CLOCKS = {"qualified": "assign", "assigned": "accept", "accepted": "first_touch", "working": "qualify",
          "opportunity": "stage_age", "recycled": "cool_down"}  # fmt: skip
ACT_COMMANDS: dict[str, Command] = {
    "accept": Accept(), "contact": Contact(), "qualify": Qualify("proposal"), "win": Win(), "lose": Lose(),
    "reject": Reject("no_budget"), "recycle": Recycle("no_budget"), "reassign": Reassign(),
    "hand_back": HandBack(), "disqualify": Disqualify("junk"), "reopen": Reopen(),
}  # fmt: skip


def test_the_table_is_that_of_the_design() -> None:
    assert {state: row.moves - {"erased"} for state, row in TABLE.items() if state != "erased"} == DESIGN
    assert all("erased" in row.moves for state, row in TABLE.items() if state != "erased")
    assert not TABLE["erased"].moves
    assert {state: row.clock for state, row in TABLE.items() if row.clock} == CLOCKS


@pytest.mark.parametrize("act", ACT_COMMANDS)
@pytest.mark.parametrize("state", WAYS)
def test_an_act_is_possible_exactly_where_the_table_of_acts_says(state: State, act: str) -> None:
    record, handoff = in_state(state)
    if handoff is not None and not handoff.is_open and not (act == "recycle" and state == "lost"):
        handoff = None  # act on the lead itself, not on what is history
    if state in ACTS[act]:
        outcome = do(record, handoff, ACT_COMMANDS[act], BILAL)
        for move in outcome.moves:
            assert move.to_state in TABLE[move.from_state].moves
    else:
        with pytest.raises(IllegalMove) as refused:
            do(record, handoff, ACT_COMMANDS[act], BILAL)
        assert refused.value.legal == legal_acts(state)
        assert act not in refused.value.legal


@pytest.mark.parametrize("state", WAYS)
def test_every_state_runs_against_its_clock_and_only_that(state: State) -> None:
    record, handoff = LeadRecord("lead"), None
    running: set[str] = set()
    policy = replace(RECYCLE, lost_cool_down_seconds=None) if state == "lost" else RECYCLE
    for command in WAYS[state]:
        outcome = do(record, handoff, command, policy=policy)
        record, handoff = outcome.record, outcome.handoff
        for change in outcome.clocks:
            assert (change.kind in running) is (change.action != "start")
            running ^= {change.kind}
    assert running == ({CLOCKS[state]} if state in CLOCKS else set())


def test_a_hand_off_is_keyed_by_lead_cycle_and_seq() -> None:
    record, handoff = in_state("assigned")
    back = do(record, handoff, HandBack())
    again = do(back.record, None, Assign("h2", "bilal", "emea", "d2"))
    assert (handoff and (handoff.cycle, handoff.seq)) == (1, 1)
    assert (again.handoff and (again.handoff.cycle, again.handoff.seq)) == (1, 2)
    assert again.successor_of == "h1"


def test_contact_while_assigned_implies_acceptance() -> None:
    outcome = do(*in_state("assigned"), Contact("phone"))
    assert outcome.record.state == "working"
    assert outcome.accepted == "implied"
    assert outcome.contacted
    assert outcome.handoff is not None
    assert outcome.handoff.accepted_at == outcome.handoff.contacted_at == NOW
    assert ClockChange("stop", "accept") in outcome.clocks
    assert ClockChange("start", "qualify") in outcome.clocks


def test_contact_told_late_counts_from_when_it_happened() -> None:
    record, handoff = in_state("assigned")
    called, told = NOW + timedelta(minutes=5), NOW + timedelta(hours=2)
    outcome = do(record, handoff, Contact("phone", called), now=told)
    assert outcome.handoff is not None
    assert outcome.handoff.accepted_at == outcome.handoff.contacted_at == called
    assert ClockChange("stop", "accept", called) in outcome.clocks
    assert outcome.record.since == told


def test_contact_before_the_hand_off_or_in_the_future_is_moved_to_where_it_counts() -> None:
    record, handoff = in_state("assigned")
    for said, counted in ((NOW - timedelta(days=1), NOW), (NOW + timedelta(days=1), NOW)):
        outcome = do(record, handoff, Contact("phone", said))
        assert outcome.handoff is not None
        assert outcome.handoff.contacted_at == counted


@pytest.mark.parametrize(
    ("state", "command"), [("accepted", Accept()), ("working", Contact()), ("won", Win())]
)
def test_the_same_act_by_the_same_actor_changes_nothing(state: State, command: Command) -> None:
    record, handoff = in_state(state)
    outcome = do(record, handoff, command, now=NOW + timedelta(hours=1))
    assert not outcome.changed
    assert outcome.record == record


def test_accepting_what_somebody_else_accepted_is_illegal() -> None:
    with pytest.raises(IllegalMove) as refused:
        do(*in_state("accepted"), Accept(), BILAL)
    assert "contact" in refused.value.legal


def test_acting_on_a_closed_hand_off_names_its_successor() -> None:
    record, handoff = in_state("assigned")
    taken = do(record, handoff, Reassign(ladder=True), CLOCK)
    assert taken.closed is not None
    closed = replace(taken.closed, successor_id="h2")
    with pytest.raises(HandoffClosed) as refused:
        do(taken.record, closed, Accept())
    assert refused.value.successor_id == "h2"


def test_a_timed_out_hand_off_goes_back_without_the_rep_who_was_silent() -> None:
    outcome = do(*in_state("assigned"), Reassign(ladder=True), CLOCK)
    assert outcome.closed is not None
    assert outcome.closed.outcome == "timed_out"
    assert outcome.record.state == "qualified"
    assert outcome.record.tried == {"anna"}
    assert outcome.record.reassigns == 1
    assert outcome.decide is not None
    assert outcome.decide.excluded == {"anna"}
    assert outcome.frees


def test_a_reject_needs_a_configured_reason() -> None:
    with pytest.raises(UnknownReason) as refused:
        do(*in_state("assigned"), Reject("did_not_like_it"))
    assert refused.value.known == ("do_not_contact", "junk", "no_budget")


def test_a_reject_recycles_with_cool_down_cut_and_a_new_cycle() -> None:
    outcome = do(*in_state("accepted"), Reject("no_budget", "until spring"))
    record = outcome.record
    assert (record.state, record.cycle, record.cut) == ("recycled", 2, NOW)
    assert record.cool_down_until == NOW + timedelta(days=90)
    assert record.rejected_by == {"anna"}
    assert outcome.cycle_opened is not None
    assert outcome.cycle_opened.why == "recycled"
    assert outcome.closed is not None
    assert (outcome.closed.outcome, outcome.closed.note) == ("rejected", "until spring")


def test_a_reject_for_a_disqualifying_reason_disqualifies() -> None:
    outcome = do(*in_state("assigned"), Reject("do_not_contact"))
    assert outcome.record.state == "disqualified"
    assert outcome.record.do_not_contact
    assert outcome.record.cool_down_until is None


def test_after_its_last_cycle_a_lead_is_exhausted() -> None:
    record, handoff = in_state("assigned")
    for cycle in (1, 2, 3):
        outcome = do(record, handoff, Reject("no_budget"))
        record = outcome.record
        if cycle < 3:
            assert record.state == "recycled"
            cooled = do(record, None, CoolDownEnd(EvaluateSnapshot(record.cycle, True, True)), CLOCK,
                        now=NOW + timedelta(days=90))  # fmt: skip
            handed = do(cooled.record, None, Assign(f"h{cycle + 1}", f"rep{cycle}", None, "d"))
            record, handoff = handed.record, handed.handoff
    assert (record.state, record.reason) == ("disqualified", "exhausted")
    assert [move.to_state for move in outcome.moves] == ["recycled", "disqualified"]


def test_a_snapshot_of_another_cycle_decides_nothing() -> None:
    record = replace(LeadRecord("lead"), cycle=2)
    assert not do(record, None, EvaluateSnapshot(1, True, True)).changed
    assert do(record, None, EvaluateSnapshot(2, True, True)).record.state == "qualified"


@pytest.mark.parametrize(
    ("enters", "holds", "state"),
    [(True, True, "qualified"), (False, True, "qualified"), (False, False, "nurturing")],
)
def test_a_queued_lead_stays_while_it_holds(enters: bool, holds: bool, state: State) -> None:
    record, _ = in_state("qualified")
    assert do(record, None, EvaluateSnapshot(1, enters, holds)).record.state == state


def test_a_lead_under_the_upper_threshold_does_not_enter_again() -> None:
    assert not do(LeadRecord("lead"), None, EvaluateSnapshot(1, False, True)).changed


@pytest.mark.parametrize("state", ["assigned", "accepted", "working", "opportunity"])
def test_a_fallen_score_takes_nothing_from_a_rep(state: State) -> None:
    record, handoff = in_state(state)
    assert not do(record, handoff, EvaluateSnapshot(1, False, False)).changed


def test_the_end_of_a_cool_down_evaluates_the_latest_snapshot() -> None:
    record, _ = in_state("recycled")
    later = NOW + timedelta(days=90)
    still_low = do(record, None, CoolDownEnd(EvaluateSnapshot(2, False, False)), CLOCK, now=later)
    assert still_low.record.state == "nurturing"
    again = do(record, None, CoolDownEnd(EvaluateSnapshot(2, True, True)), CLOCK, now=later)
    assert [move.to_state for move in again.moves] == ["nurturing", "qualified"]
    assert again.decide is not None
    stale = do(record, None, CoolDownEnd(EvaluateSnapshot(1, True, True)), CLOCK, now=later)
    assert stale.record.state == "nurturing"


def test_a_cool_down_does_not_end_early_and_not_twice() -> None:
    record, _ = in_state("recycled")
    assert not do(record, None, CoolDownEnd(), CLOCK, now=NOW + timedelta(days=89)).changed
    done = do(record, None, CoolDownEnd(), CLOCK, now=NOW + timedelta(days=90))
    assert not do(done.record, None, CoolDownEnd(), CLOCK, now=NOW + timedelta(days=91)).changed


def test_a_won_lead_qualifies_again_in_its_new_cycle() -> None:
    record, _ = in_state("won")
    assert (record.cycle, record.cut) == (2, NOW)
    assert not do(record, None, EvaluateSnapshot(1, True, True)).changed
    assert do(record, None, EvaluateSnapshot(2, True, True)).record.state == "qualified"


def test_a_lost_lead_cools_down_and_the_loss_opened_the_cycle() -> None:
    outcome = do(*in_state("opportunity"), Lose())
    assert outcome.moves[-2:] == (Move("opportunity", "lost", ""), Move("lost", "recycled", "lost"))
    assert outcome.cycle_opened is not None
    assert (outcome.cycle_opened.cycle, outcome.cycle_opened.why) == (2, "lost")
    assert outcome.record.cool_down_until == NOW + timedelta(seconds=180 * DAY)


def test_a_lost_lead_that_stays_lost_is_recycled_through_its_closed_hand_off() -> None:
    record, handoff = in_state("lost")
    outcome = do(record, handoff, Recycle("no_budget"))
    assert (outcome.record.state, outcome.record.cycle) == ("recycled", 2)
    assert outcome.cycle_opened is None


def test_a_disqualified_lead_is_reopened_by_hand_in_a_new_cycle() -> None:
    record, _ = in_state("disqualified")
    outcome = do(record, None, Reopen())
    assert (outcome.record.state, outcome.record.cycle) == ("nurturing", 2)
    assert outcome.cycle_opened is not None
    assert outcome.cycle_opened.why == "reopened"


def test_an_unknown_pipeline_stage_is_refused() -> None:
    with pytest.raises(UnknownStage):
        do(*in_state("working"), Qualify("nearly"))


def test_a_stage_change_restarts_the_stage_clock_and_an_amount_alone_does_not() -> None:
    record, handoff = in_state("opportunity")
    moved = do(record, handoff, Qualify("proposal"))
    assert [change.action for change in moved.clocks] == ["stop", "start"]
    priced = do(record, handoff, Qualify("qualified", amount=900.0))
    assert priced.clocks == ()
    assert priced.handoff is not None
    assert priced.handoff.amount == 900.0
    assert not do(priced.record, priced.handoff, Qualify("qualified", amount=900.0)).changed


def test_a_new_opportunity_asks_for_the_closer_team_and_passes_within_the_state() -> None:
    policy = replace(RECYCLE, closer_team="closers")
    record, handoff = in_state("working")
    qualified = do(record, handoff, Qualify("qualified", amount=5.0), policy=policy)
    assert qualified.decide is not None
    assert qualified.decide.only_team == "closers"
    passed = do(qualified.record, qualified.handoff, PassToCloser("h2", "zoe", "closers", "d2"), CLOCK)
    assert passed.record.state == "opportunity"
    assert passed.moves == ()
    assert passed.closed is not None
    assert passed.closed.outcome == "passed_to_closer"
    assert passed.handoff is not None
    assert (passed.handoff.seq, passed.handoff.stage, passed.handoff.amount) == (2, "qualified", 5.0)
    assert [(c.action, c.kind) for c in passed.clocks] == [("cancel", "stage_age"), ("start", "stage_age")]


def test_an_opportunity_is_not_taken_away_before_somebody_can_have_it() -> None:
    outcome = do(*in_state("opportunity"), Reassign("bilal"))
    assert outcome.closed is None
    assert outcome.record.state == "opportunity"
    assert outcome.decide is not None
    assert outcome.decide.only_person == "bilal"


@pytest.mark.parametrize("state", WAYS)
def test_do_not_contact_ends_everything_but_what_is_closed_already(state: State) -> None:
    record, handoff = in_state(state)
    handoff = handoff if handoff and handoff.is_open else None
    outcome = do(record, handoff, EvaluateSnapshot(record.cycle, True, True, do_not_contact=True))
    if state in ("won", "disqualified"):
        assert not outcome.changed
        return
    assert outcome.record.state == "disqualified"
    assert outcome.record.do_not_contact
    assert outcome.handoff is None
    for move in outcome.moves:
        assert move.to_state in TABLE[move.from_state].moves


@pytest.mark.parametrize("state", WAYS)
def test_every_state_can_be_erased_and_nothing_follows(state: State) -> None:
    record, handoff = in_state(state)
    handoff = handoff if handoff and handoff.is_open else None
    outcome = do(record, handoff, Erase())
    assert outcome.record.state == "erased"
    assert outcome.handoff is None
    assert not do(outcome.record, None, Erase()).changed
    assert not do(outcome.record, None, EvaluateSnapshot(1, True, True)).changed
    with pytest.raises(IllegalMove):
        do(outcome.record, None, Reopen())


def test_waiting_in_a_queue_is_noted_once() -> None:
    record, _ = in_state("qualified")
    waiting = do(record, None, Enqueue("triage"))
    assert waiting.record.queue == "triage"
    assert not do(waiting.record, None, Enqueue("triage")).changed
