"""Clocks: warnings and breaches once each and never early, ladders, pauses, outages, late evidence."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from services.routing.domain.business_calendar import Calendar, Span
from services.routing.domain.policy import PauseRule, Rung
from services.routing.domain.sla import (
    Clock,
    Fired,
    PauseRefused,
    SlaEvent,
    Terms,
    cancel,
    cool_down_terms,
    delay_split,
    fire,
    guarded_action,
    is_paused,
    next_due,
    pause,
    paused_seconds,
    resume,
    stop,
    target_at,
)
from tests.support.routing_calendars import a_calendar
from tests.support.routing_leads import NOW

MINUTE = timedelta(minutes=1)
LADDER = (Rung(0, "manager"), Rung(900, "manager", "reassign"), Rung(1800, "head", "out_of_rotation"))
OFFICE = a_calendar("09:00-17:00", days="1111100")  # NOW is a Monday, 09:00


def a_clock(
    *, target: int = 1800, warnings: tuple[int, ...] = (1200,), ladder: tuple[Rung, ...] = LADDER,
    calendar: Calendar | None = None, started_at: datetime = NOW,
) -> Clock:  # fmt: skip
    terms = Terms(
        target, warnings, ladder, calendar, "test@1", "p1", (PauseRule("holiday", 3600),), max_reassigns=2
    )
    return Clock("c1", "accept", "lead", 1, terms, started_at, "h1", "anna")


def kinds(events: tuple[SlaEvent, ...]) -> list[str]:
    return [event.kind if event.kind != "escalated" else event.action for event in events]


def test_a_silent_rep_hears_a_warning_then_the_ladder_climbs() -> None:
    clock, heard = a_clock(calendar=OFFICE), []
    while (due := next_due(clock)) is not None:
        fired = fire(clock, due)
        clock = fired.clock
        heard += [
            ((event.due_at - NOW) // MINUTE, event.kind, event.tells, event.action) for event in fired.events
        ]
    assert heard == [
        (20, "warned", "rep", "notify"),
        (30, "breached", "rep", "notify"),
        (30, "escalated", "manager", "notify"),
        (45, "escalated", "manager", "reassign"),
        (60, "escalated", "head", "out_of_rotation"),
    ]


def test_a_clock_kept_on_office_hours_runs_on_the_next_morning() -> None:
    clock = a_clock(calendar=OFFICE, started_at=NOW + timedelta(hours=7, minutes=50))
    assert target_at(clock) == NOW + timedelta(days=1, minutes=20)


def test_nothing_fires_early_and_an_early_look_changes_nothing() -> None:
    clock = a_clock()
    assert fire(clock, NOW + 20 * MINUTE - timedelta(microseconds=1)) == fire(clock, NOW)
    assert fire(clock, NOW).events == ()


LOOKS = st.lists(st.integers(0, 7200), min_size=1, max_size=12).map(sorted)


@settings(max_examples=150, deadline=None)
@given(LOOKS, st.lists(st.integers(1, 1799), max_size=3, unique=True).map(sorted))
def test_every_warning_breach_and_rung_happens_once_however_often_one_looks(
    looks: list[int], warnings: list[int]
) -> None:
    clock, events = a_clock(warnings=tuple(warnings)), list[SlaEvent]()
    for second in (*looks, 7200, 7200):
        now = NOW + timedelta(seconds=second)
        fired = fire(clock, now)
        clock = fired.clock
        events += fired.events
        assert all(event.due_at <= now == event.at for event in fired.events)
    assert kinds(tuple(events)) == ["warned"] * len(warnings) + [
        "breached",
        "notify",
        "reassign",
        "out_of_rotation",
    ]
    assert next_due(clock) is None


@settings(max_examples=150, deadline=None)
@given(LOOKS, st.integers(0, 3600))
def test_a_clock_is_breached_exactly_if_the_act_came_after_the_target(looks: list[int], act: int) -> None:
    clock, events = a_clock(), list[SlaEvent]()
    acted = NOW + timedelta(seconds=act)
    for second in (look for look in looks if look <= act):
        fired = fire(clock, NOW + timedelta(seconds=second))
        clock, events = fired.clock, events + list(fired.events)
    fired = stop(clock, acted, acted)
    events += fired.events
    verdict = fired.clock.breached_at is not None and fired.clock.corrected_met_at is None
    assert verdict is (act > 1800)
    assert [event.kind for event in events].count("breached") <= 1
    assert fired.clock.state == "met"
    assert next_due(fired.clock) is None


def test_an_act_in_the_same_second_as_a_rung_is_not_punished_by_it() -> None:
    clock = fire(a_clock(), NOW + 30 * MINUTE).clock
    assert kinds(stop(clock, NOW + 50 * MINUTE, NOW + 50 * MINUTE).events) == []


def test_late_evidence_corrects_a_breach_and_keeps_it_on_record() -> None:
    breached = fire(a_clock(), NOW + 45 * MINUTE).clock
    fired = stop(breached, NOW + 29 * MINUTE, NOW + 60 * MINUTE)
    assert kinds(fired.events) == ["breach_corrected"]
    assert fired.events[0].met_at == NOW + 29 * MINUTE
    assert fired.clock.breached_at == NOW + 45 * MINUTE
    assert stop(fired.clock, NOW + 29 * MINUTE, NOW + 70 * MINUTE).events == ()


def test_late_evidence_corrects_a_clock_that_a_reassignment_cancelled() -> None:
    taken = cancel(fire(a_clock(), NOW + 45 * MINUTE).clock, NOW + 45 * MINUTE).clock
    fired = stop(taken, NOW + 10 * MINUTE, NOW + 60 * MINUTE)
    assert kinds(fired.events) == ["breach_corrected"]
    assert fired.clock.state == "cancelled"


def test_evidence_that_is_late_itself_corrects_nothing() -> None:
    breached = fire(a_clock(), NOW + 45 * MINUTE).clock
    assert stop(breached, NOW + 31 * MINUTE, NOW + 60 * MINUTE).events == ()


def test_a_cancelled_clock_fires_nothing() -> None:
    clock = cancel(a_clock(), NOW + MINUTE).clock
    assert next_due(clock) is None
    assert fire(clock, NOW + timedelta(days=9)).events == ()


def test_a_clock_cancelled_after_its_target_was_breached_all_the_same() -> None:
    late = cancel(a_clock(), NOW + 31 * MINUTE)
    assert kinds(late.events)[-1] == "breached"
    assert late.clock.breached_at == NOW + 31 * MINUTE
    assert "escalated" not in kinds(late.events)
    assert cancel(late.clock, NOW + 40 * MINUTE) == Fired(late.clock, ())
    assert cancel(a_clock(), NOW + MINUTE).events == ()


def test_the_end_of_a_cool_down_is_no_breach() -> None:
    clock = replace(a_clock(warnings=(), ladder=()), kind="cool_down")
    over = NOW + 31 * MINUTE
    assert stop(clock, over, over).clock.breached_at is None
    assert cancel(clock, over).clock.breached_at is None


def test_a_pause_moves_the_target_and_ends_at_its_limit_by_itself() -> None:
    paused = pause(a_clock(), "holiday", NOW + 10 * MINUTE)
    assert is_paused(paused, NOW + 30 * MINUTE)
    assert target_at(paused) == NOW + 90 * MINUTE
    resumed = resume(paused, NOW + 25 * MINUTE)
    assert target_at(resumed) == NOW + 45 * MINUTE
    assert paused_seconds(resumed, NOW + 60 * MINUTE) == 900
    assert resume(resumed, NOW + 26 * MINUTE) == resumed


def test_pauses_share_the_limit_of_their_reason() -> None:
    clock = resume(pause(a_clock(target=36_000), "holiday", NOW), NOW + 50 * MINUTE)
    again = pause(clock, "holiday", NOW + 60 * MINUTE)
    assert again.pauses[-1].limit_at == NOW + 70 * MINUTE
    with pytest.raises(PauseRefused, match="used up"):
        pause(resume(again, NOW + 80 * MINUTE), "holiday", NOW + 90 * MINUTE)


@pytest.mark.parametrize(
    ("clock", "reason", "why"),
    [
        (a_clock(), "coffee", "configured: holiday"),
        (cancel(a_clock(), NOW).clock, "holiday", "only a running clock"),
        (fire(a_clock(), NOW + 45 * MINUTE).clock, "holiday", "within its target"),
        (pause(a_clock(), "holiday", NOW), "holiday", "paused already"),
    ],
)
def test_a_pause_that_is_not_possible_is_refused(clock: Clock, reason: str, why: str) -> None:
    with pytest.raises(PauseRefused, match=why):
        pause(clock, reason, NOW + 5 * MINUTE)


def test_a_breach_within_our_outage_is_recorded_at_once_and_marked() -> None:
    outage: Span = (NOW + 25 * MINUTE, NOW + 40 * MINUTE)
    fired = fire(a_clock(), NOW + 40 * MINUTE, [outage])
    breach = next(event for event in fired.events if event.kind == "breached")
    assert breach.during_outage
    assert breach.due_at == NOW + 30 * MINUTE
    assert fired.clock.during_outage


def test_after_an_outage_the_rungs_that_act_wait_for_the_time_it_took() -> None:
    outage: Span = (NOW + 25 * MINUTE, NOW + 40 * MINUTE)
    clock = fire(a_clock(), NOW + 40 * MINUTE, [outage]).clock
    assert next_due(clock, [outage]) == NOW + 60 * MINUTE  # due at 45, and 15 minutes were lost
    assert kinds(fire(clock, NOW + 59 * MINUTE, [outage]).events) == []
    assert kinds(fire(clock, NOW + 60 * MINUTE, [outage]).events) == ["reassign"]


def test_a_long_outage_defers_by_one_target_at_most() -> None:
    outage: Span = (NOW + 10 * MINUTE, NOW + 500 * MINUTE)
    clock = a_clock()
    due = fire(clock, NOW + 500 * MINUTE, [outage])
    assert kinds(due.events) == ["warned", "breached", "notify"]
    assert next_due(due.clock, [outage]) == NOW + 530 * MINUTE  # the rep has their half hour once we are back
    short = fire(clock, NOW + 70 * MINUTE, [(NOW + 10 * MINUTE, NOW + 70 * MINUTE)])
    assert next_due(short.clock, [(NOW + 10 * MINUTE, NOW + 70 * MINUTE)]) == NOW + 100 * MINUTE


def test_an_outage_at_night_takes_nothing_from_an_office_clock() -> None:
    clock = a_clock(calendar=OFFICE, started_at=NOW + timedelta(hours=7, minutes=50))
    outage: Span = (NOW + timedelta(hours=10), NOW + timedelta(hours=12))
    assert next_due(fire(clock, target_at(clock), [outage]).clock, [outage]) == target_at(clock) + 15 * MINUTE


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(-30, 90), st.integers(2, 60)), max_size=3))
@example([(16, 60), (17, 2)])
def test_outages_never_make_anything_early_and_defer_by_a_target_at_most(
    drawn: list[tuple[int, int]],
) -> None:
    outages: list[Span] = [(NOW + begin * MINUTE, NOW + (begin + length) * MINUTE) for begin, length in drawn]
    breached = replace(a_clock(), warned=1, breached_at=NOW + 30 * MINUTE, rungs=0b001)
    due = next_due(breached, outages)
    assert due is not None
    ends = max((end for begin, end in outages if end > NOW), default=NOW)
    assert NOW + 45 * MINUTE <= due <= max(NOW + 75 * MINUTE, ends + 30 * MINUTE)
    assert not any(begin <= due < end for begin, end in outages if begin < NOW + 45 * MINUTE and end > NOW)
    assert next_due(a_clock(), outages) == NOW + 20 * MINUTE


def test_the_loop_guard_turns_a_reassignment_into_a_message() -> None:
    clock = a_clock()
    event = SlaEvent("escalated", NOW, NOW, NOW, 2, "manager", "reassign")
    assert guarded_action(event, clock.terms, 1) == "reassign"
    assert guarded_action(event, clock.terms, 2) == "notify"


def test_a_cool_down_runs_in_real_time_and_has_one_end() -> None:
    clock = Clock("c1", "cool_down", "lead", 2, cool_down_terms(90 * 86_400, "p1"), NOW)
    assert next_due(clock) == NOW + timedelta(days=90)


def test_waiting_for_people_is_not_our_delay() -> None:
    queued: list[Span] = [(NOW + 2 * MINUTE, NOW + 10 * MINUTE)]
    delay = delay_split(NOW, NOW + 11 * MINUTE, queued, NOW + 20 * MINUTE)
    assert (delay.system_seconds, delay.human_seconds) == (180.0, 1020.0)
