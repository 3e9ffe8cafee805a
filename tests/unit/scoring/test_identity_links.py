"""Leads as components, ownership by time, and the algebra of merging and unmerging."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.scoring.domain.activity import Activity, edges_of, links_of, subject, wins
from services.scoring.domain.identity import (
    Identity,
    LeadSeed,
    Link,
    Partition,
    Position,
    components,
    crossing_pairs,
    is_role_address,
    pair,
    survivor,
)
from services.scoring.domain.ownership import Interval, owner_at, owner_intervals, reowned
from tests.support import scoring_strategies as some
from tests.support.scoring_oracle import Timeline, recompute
from tests.unit.scoring.test_engagement_and_fit import SMALL

T0 = some.T0
ANN = Identity("anonymous", "ann")
ADA, BOB = Identity("email", "ada@acme.example"), Identity("email", "bob@acme.example")
USER = Identity("user", "u")

identities = some.identities
instants = some.any_instant
event_ids = st.integers(0, 9).map(lambda number: f"{number:032x}")


@st.composite
def _links(draw: st.DrawFn) -> Link:
    ends = draw(st.lists(identities, min_size=2, max_size=2, unique=True))
    a, b = pair(*ends)
    return Link(a, b, draw(instants), draw(event_ids), draw(instants))


links = st.lists(
    _links().filter(lambda link: (link.a.kind, link.b.kind) != ("anonymous", "anonymous")), max_size=12
)
never = st.frozensets(st.tuples(identities, identities).filter(lambda p: p[0] < p[1]), max_size=3)
hubs = st.dictionaries(identities, instants, max_size=2)


def _brute_force(known: set[Identity], joined: list[tuple[Identity, Identity]]) -> Partition:
    label = {identity: {identity} for identity in known}
    for _ in known:
        for a, b in joined:
            union = label[a] | label[b]
            for member in union:
                label[member] = union
    return frozenset(frozenset(group) for group in label.values())


@settings(max_examples=50, deadline=None)
@given(links, never, hubs)
def test_leads_are_the_components_of_people_linked_with_effect(
    found: list[Link], refused: frozenset[tuple[Identity, Identity]], marks: dict[Identity, datetime]
) -> None:
    joined = [
        (link.a, link.b)
        for link in found
        if (link.a, link.b) not in refused
        and not any(is_role_address(end) for end in (link.a, link.b))
        and all(end not in marks or link.linked_at <= marks[end] for end in (link.a, link.b))
    ]
    people = {end for link in found for end in (link.a, link.b) if end.kind != "anonymous"}
    expected = _brute_force(people, [edge for edge in joined if edge[0].kind != "anonymous"])
    partition = components((), found, marks, refused)
    assert frozenset(core for lead in partition if (core := _people(lead))) == expected


def _people(lead: frozenset[Identity]) -> frozenset[Identity]:
    return frozenset(identity for identity in lead if identity.kind != "anonymous")


@settings(max_examples=40, deadline=None)
@given(some.timelines(15), never, instants)
def test_leads_and_owners_equal_the_recomputation(
    activities: list[Activity], refused: frozenset[tuple[Identity, Identity]], as_of: datetime
) -> None:
    timeline = Timeline(activities, SMALL, lambda traits, _: dict(traits), never_links=refused)
    expected = recompute(timeline, as_of)
    kept: dict[str, Activity] = {}
    for activity in activities:
        kept[activity.event_id] = wins(activity, kept.get(activity.event_id, activity))
    made = [link for activity in kept.values() for link in links_of(activity, activity.received_at)]
    partition = components(map(subject, kept.values()), made, {}, refused)
    assert partition == {lead.members for lead in expected.values()}
    lead_of = {identity: lead for lead in partition for identity in lead}
    owned: dict[frozenset[Identity], list[str]] = {lead: [] for lead in partition}
    for activity in kept.values():
        owner = subject(activity)
        if owner.kind == "anonymous":
            owner = owner_at(owner_intervals(owner, made, {}, refused), activity.position)
        owned[lead_of[owner]].append(activity.event_id)
    assert {lead.members: lead.events for lead in expected.values()} == {
        lead: tuple(sorted(events)) for lead, events in owned.items()
    }


@settings(max_examples=50, deadline=None)
@given(links, instants, event_ids)
def test_an_owner_is_the_first_link_before_and_the_latest_link_after(
    found: list[Link], at: datetime, event_id: str
) -> None:
    anonymous = Identity("anonymous", "a1")
    position = Position(at, event_id)
    claims = sorted(
        (link.position, link.b.kind == "user", link.b)
        for link in found
        if link.a == anonymous and not is_role_address(link.b)
    )
    owner = owner_at(owner_intervals(anonymous, found, {}, ()), position)
    if not claims:
        assert owner == anonymous
        return
    at_or_before = [claim for claim in claims if claim[0] <= position]
    decisive = at_or_before[-1][0] if at_or_before else claims[0][0]
    candidates = {claim[2] for claim in claims if claim[0] == decisive}
    assert owner in candidates
    assert owner.kind == "user" or all(candidate.kind == "email" for candidate in candidates)


@settings(max_examples=50, deadline=None)
@given(links, _links(), instants, event_ids)
def test_a_late_link_recounts_exactly_what_changes_hands(
    found: list[Link], late: Link, at: datetime, event_id: str
) -> None:
    anonymous = Identity("anonymous", "a1")
    before = owner_intervals(anonymous, found, {}, ())
    after = owner_intervals(anonymous, [*found, late], {}, ())
    position = Position(at, event_id)
    spans = [
        span.owner
        for span in reowned(before, after)
        if (span.start is None or span.start <= position) and (span.end is None or position < span.end)
    ]
    moved = owner_at(before, position) != owner_at(after, position)
    assert spans == ([owner_at(after, position)] if moved else [])


@settings(max_examples=40, deadline=None)
@given(links, _links())
def test_links_only_merge_and_in_any_order(found: list[Link], late: Link) -> None:
    before, after = components((), found, {}, ()), components((), [late, *found[::-1]], {}, ())
    people_after = [_people(lead) for lead in after]
    assert all(any(_people(lead) <= bigger for bigger in people_after) for lead in before)
    assert components((), [*found, late, late], {}, ()) == after


@settings(max_examples=40, deadline=None)
@given(links, st.sets(identities, max_size=4))
def test_unmerging_separates_the_parts_and_forgetting_it_restores_the_lead(
    found: list[Link], wanted: set[Identity]
) -> None:
    before = components((), found, {}, ())
    for lead in before:
        part = _people(lead) & wanted
        rest = _people(lead) - part
        split = components((), found, {}, crossing_pairs(part, rest))
        assert not any(new & part and new & rest for new in split)
        assert _people(frozenset().union(*(new for new in split if new & lead))) == _people(lead)
        assert components((), found, {}, ()) == before


def _link(a: Identity, b: Identity, minute: int, event: str = "e") -> Link:
    at = T0 + timedelta(minutes=minute)
    return Link(*pair(a, b), at, event, at)


def test_a_shared_device_does_not_merge_two_people() -> None:
    found = [_link(ANN, ADA, 10), _link(ANN, BOB, 20)]
    assert components((), found, {}, ()) == {frozenset({ANN, ADA}), frozenset({BOB})}
    intervals = owner_intervals(ANN, found, {}, ())
    borders = Position(T0 + timedelta(minutes=20), "e")
    assert intervals == (Interval(None, borders, ADA), Interval(borders, None, BOB))


def test_the_event_that_links_belongs_to_the_new_owner_and_its_tie_goes_by_event_id() -> None:
    intervals = owner_intervals(ANN, [_link(ANN, ADA, 10), _link(ANN, BOB, 20, "m")], {}, ())
    at = T0 + timedelta(minutes=20)
    assert [owner_at(intervals, Position(at, event)) for event in ("l", "m", "n")] == [ADA, BOB, BOB]


def test_an_anonymous_id_without_a_link_is_a_lead_by_itself() -> None:
    assert components([ANN, ADA], [], {}, ()) == {frozenset({ANN}), frozenset({ADA})}
    assert owner_intervals(ANN, [], {}, ()) == (Interval(None, None, ANN),)


@pytest.mark.parametrize("address", ["info@acme.example", "sales+eu@acme.example", "no-reply@acme.example"])
def test_a_role_address_joins_nobody(address: str) -> None:
    role = Identity("email", address)
    found = [_link(role, USER, 1), _link(ANN, role, 2)]
    assert components((), found, {}, ()) == {frozenset({role}), frozenset({USER}), frozenset({ANN})}


def test_a_hub_takes_no_joins_after_its_mark_and_keeps_those_before() -> None:
    found = [_link(USER, ADA, 10), _link(USER, BOB, 20)]
    marks = {USER: T0 + timedelta(minutes=10)}
    assert components((), found, marks, ()) == {frozenset({USER, ADA}), frozenset({BOB})}


def test_the_oldest_lead_survives_and_then_the_lowest_id() -> None:
    seeds = [LeadSeed("b", T0), LeadSeed("a", T0), LeadSeed("0", T0 + timedelta(seconds=1))]
    assert survivor(seeds).lead_id == "a"


def _activity(**given_fields: Any) -> Activity:
    return Activity("e1", "alias", "", T0, T0, "h", **given_fields)


def test_an_alias_links_its_previous_id_as_either_kind() -> None:
    named = edges_of(_activity(user_id="u", previous_id="p"))
    assert named == ((Identity("anonymous", "p"), USER), (Identity("user", "p"), USER))


def test_an_activity_hangs_on_the_user_id_before_the_email_before_the_anonymous_id() -> None:
    assert subject(_activity(user_id="u", email="ada@acme.example", anonymous_id="ann")) == USER
    assert subject(_activity(email="ada@acme.example", anonymous_id="ann")) == ADA
    assert subject(_activity(anonymous_id="ann")) == ANN


def test_an_activity_that_names_nobody_is_refused() -> None:
    with pytest.raises(ValueError, match="anonymous id"):
        subject(_activity())


def test_a_link_repeated_draws_no_border() -> None:
    found = [_link(ANN, ADA, 10), _link(ANN, ADA, 20, "f")]
    assert owner_intervals(ANN, found, {}, ()) == (Interval(None, None, ADA),)
