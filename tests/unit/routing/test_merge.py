"""Merging routing records in every pair of states, in every order, and parting them again."""

from dataclasses import replace
from datetime import timedelta
from itertools import permutations, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.routing.domain.lifecycle import (
    Assign,
    EvaluateSnapshot,
    Handoff,
    LeadRecord,
    Reassign,
    State,
    apply,
)
from services.routing.domain.merge import Merged, Side, merge, unmerge
from tests.support.routing_leads import ANNA, NOW, RECYCLE, WAYS, do, in_state

LATER = NOW + timedelta(hours=1)
# Which of two states stays, best first.
ORDER: tuple[State, ...] = (
    "opportunity", "working", "accepted", "assigned", "qualified", "recycled", "won", "disqualified", "lost",
    "nurturing",
)  # fmt: skip


def side(state: State, lead_id: str, minutes: int = 0) -> Side:
    """Return a lead in that state, `minutes` younger, its hand-off named after it."""
    record, handoff = in_state(state, lead_id, now=NOW + timedelta(minutes=minutes))
    if handoff is None or not handoff.is_open:
        return Side(record)
    return Side(record, replace(handoff, id=f"h-{lead_id}", lead_id=lead_id))


def as_side(merged: Merged) -> Side:
    return Side(merged.record, merged.kept)


@pytest.mark.parametrize(("one", "other"), list(product(WAYS, WAYS)))
def test_the_state_further_along_stays_whichever_lead_survives(one: State, other: State) -> None:
    expected = min(one, other, key=ORDER.index)
    for survivor, loser in ((side(one, "a"), side(other, "b")), (side(other, "b"), side(one, "a"))):
        merged = merge(survivor, loser, LATER)
        assert merged.record.state == expected
        assert merged.record.lead_id == survivor.record.lead_id
        assert merged.record.cycle == max(survivor.record.cycle, loser.record.cycle)
        assert merged.cycle_opened.why == "merged"
        assert (merged.kept is not None) is (ORDER.index(expected) < 4)


@pytest.mark.parametrize(("one", "other"), list(product(WAYS, WAYS)))
def test_at_most_one_hand_off_stays_open_and_it_carries_the_survivors_key(one: State, other: State) -> None:
    first, second = side(one, "a"), side(other, "b", 5)
    merged = merge(first, second, LATER)
    before = [s.handoff for s in (first, second) if s.handoff is not None]
    assert len(before) == (merged.kept is not None) + len(merged.superseded)
    if merged.kept is not None:
        assert (merged.kept.lead_id, merged.kept.cycle) == ("a", merged.record.cycle)
        assert merged.kept.seq <= merged.record.last_seq
        assert merged.kept_from is not None
    for closed in merged.superseded:
        assert closed.outcome == "superseded"
        assert closed.closed_at == LATER
        assert merged.kept is not None
        assert closed.successor_id == merged.kept.id


def test_of_two_assigned_leads_the_hand_off_that_waits_longer_stays() -> None:
    merged = merge(side("assigned", "new", 30), side("assigned", "old"), LATER)
    assert merged.kept is not None
    assert merged.kept.id == "h-old"
    assert (merged.kept.lead_id, merged.kept.seq) == ("new", 2)
    assert [closed.id for closed in merged.superseded] == ["h-new"]
    assert merged.frees


def test_of_two_recycled_leads_the_later_cool_down_stays() -> None:
    early, late = side("recycled", "a"), side("recycled", "b", 60)
    assert merge(early, late, LATER).record.cool_down_until == late.record.cool_down_until
    assert merge(late, early, LATER).record.cool_down_until == late.record.cool_down_until


def test_a_won_lead_stays_closed_and_the_other_goes_on_in_the_new_cycle() -> None:
    merged = merge(side("won", "customer"), side("assigned", "double"), LATER)
    assert merged.record.state == "assigned"
    assert merged.superseded == ()
    assert merged.kept is not None
    assert (merged.kept.lead_id, merged.kept.cycle) == ("customer", 2)


def test_what_was_reassigned_before_a_merge_names_who_has_it_after() -> None:
    held = side("assigned", "a")
    waiting = apply(held.record, held.handoff, Reassign(), ANNA, RECYCLE, NOW)
    assert waiting.closed is not None
    ahead = replace(side("nurturing", "b").record, cycle=3)
    merged = merge(Side(waiting.record), Side(ahead), NOW)
    after = apply(merged.record, None, Assign("h-new", "bilal", "team", "d"), ANNA, RECYCLE, NOW)
    assert after.handoff is not None
    assert (after.handoff.cycle, after.successor_of) == (3, waiting.closed.id)


def test_do_not_contact_ends_an_open_hand_off() -> None:
    silent = side("qualified", "a").record
    silent = do(silent, None, EvaluateSnapshot(1, True, True, do_not_contact=True)).record
    for survivor, loser in ((Side(silent), side("working", "b")), (side("working", "b"), Side(silent))):
        merged = merge(survivor, loser, LATER)
        assert (merged.record.state, merged.record.do_not_contact) == ("disqualified", True)
        assert merged.kept is None
        assert [closed.id for closed in merged.superseded] == ["h-b"]


def test_a_customer_who_asked_for_silence_silences_the_other_lead_too() -> None:
    customer = Side(replace(side("won", "a").record, do_not_contact=True))
    merged = merge(customer, side("assigned", "b"), LATER)
    assert merged.record.state == "disqualified"
    assert merged.kept is None
    assert merged.kept_from is None


def test_rejections_and_the_latest_cut_are_remembered() -> None:
    one = replace(side("nurturing", "a").record, rejected_by=frozenset({"anna"}), cut=NOW)
    two = replace(side("nurturing", "b").record, rejected_by=frozenset({"bilal"}), cut=LATER, cycle=3)
    merged = merge(Side(one), Side(two), LATER)
    assert merged.record.rejected_by == {"anna", "bilal"}
    assert (merged.record.cycle, merged.record.cut) == (3, LATER)


Drawn = tuple[State, int, int, bool, frozenset[str]]
SIDES = st.tuples(
    st.sampled_from(sorted(WAYS)), st.integers(0, 3), st.integers(1, 4), st.booleans(),
    st.frozensets(st.sampled_from(["anna", "bilal", "carmen"])),
)  # fmt: skip


def _drawn(lead_id: str, drawn: Drawn) -> Side:
    state, minutes, cycle, silent, rejected = drawn
    made = side(state, lead_id, minutes)
    record = replace(
        made.record, cycle=cycle, cut=NOW + timedelta(days=cycle), rejected_by=rejected, recycles=cycle - 1
    )
    if silent and state in ("won", "disqualified"):
        record = replace(record, do_not_contact=True)
    return Side(record, replace(made.handoff, cycle=cycle) if made.handoff else None)


def _essence(merged_side: Side) -> tuple[object, ...]:
    """What must not depend on the order of merges: all but the names given by the order."""
    record, handoff = merged_side.record, merged_side.handoff
    return (
        replace(record, lead_id="", since=None, reason="", last_seq=0, last_handoff_id=None, queue=None),
        handoff and (handoff.id, handoff.person_id, handoff.cycle),
    )


@settings(max_examples=150, deadline=None)
@given(st.tuples(SIDES, SIDES, SIDES))
def test_the_order_of_merges_does_not_matter(drawn: tuple[Drawn, Drawn, Drawn]) -> None:
    sides = [_drawn(lead_id, each) for lead_id, each in zip("abc", drawn, strict=True)]
    outcomes = set()
    for one, two, three in permutations(sides):
        outcomes.add(_essence(as_side(merge(as_side(merge(one, two, LATER)), three, LATER))))
        outcomes.add(_essence(as_side(merge(one, as_side(merge(two, three, LATER)), LATER))))
    assert len(outcomes) == 1


@settings(max_examples=100, deadline=None)
@given(st.tuples(SIDES, SIDES, SIDES))
def test_every_open_hand_off_but_one_is_superseded_once(drawn: tuple[Drawn, Drawn, Drawn]) -> None:
    sides = [_drawn(lead_id, each) for lead_id, each in zip("abc", drawn, strict=True)]
    first = merge(sides[0], sides[1], LATER)
    second = merge(as_side(first), sides[2], LATER)
    closed = [handoff.id for handoff in (*first.superseded, *second.superseded)]
    kept = [second.kept.id] if second.kept else []
    assert sorted(closed + kept) == sorted(s.handoff.id for s in sides if s.handoff)


@pytest.mark.parametrize("state", WAYS)
@pytest.mark.parametrize("goes", [True, False])
def test_after_an_unmerge_the_hand_off_is_on_the_lead_that_qualified(state: State, goes: bool) -> None:
    before = side(state, "old")
    parted = unmerge(before, "new", "new" if goes else "old", LATER)
    owner, other = (parted.leaves, parted.stays) if goes else (parted.stays, parted.leaves)
    assert parted.state_on == owner.record.lead_id == ("new" if goes else "old")
    assert owner.record.state == state
    assert other.record.state == "nurturing"
    assert other.handoff is None
    assert (owner.handoff is None) is (before.handoff is None)
    if owner.handoff is not None:
        assert owner.handoff.lead_id == owner.record.lead_id
        assert owner.handoff.seq <= owner.record.last_seq
    assert parted.leaves.record.cycle == parted.stays.record.cycle == before.record.cycle
    assert parted.leaves.record.rejected_by == before.record.rejected_by


def test_an_unmerge_leaves_no_loophole_for_who_asked_for_silence() -> None:
    silent = do(*_open(side("working", "old")), EvaluateSnapshot(1, True, True, do_not_contact=True)).record
    parted = unmerge(Side(silent), "new", "old", LATER)
    assert parted.stays.record.state == parted.leaves.record.state == "disqualified"


def _open(one: Side) -> tuple[LeadRecord, Handoff | None]:
    return one.record, one.handoff
