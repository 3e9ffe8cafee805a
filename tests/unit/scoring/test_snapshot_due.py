"""A snapshot is due when it tells routing something, and not while nobody can be contacted."""

import dataclasses
from datetime import UTC, datetime
from typing import Any

import pytest

from services.scoring.domain.snapshot import Told, due

TOLD = Told(
    fit=40_000,
    engagement=30_000,
    grade="C3",
    enters=False,
    holds=False,
    level_reason=None,
    needs_data=False,
    missing=(),
    hand_raised_at=None,
    cycle=1,
    cut=None,
    routing_traits={"country": "DE"},
    members=frozenset({"e:ada@acme.example"}),
)


def test_the_first_snapshot_of_a_lead_is_due() -> None:
    assert due(None, TOLD) == "first"


def test_nothing_is_due_while_nobody_could_be_contacted() -> None:
    assert due(None, dataclasses.replace(TOLD, contactable=False)) is None


def test_that_the_last_contact_has_left_is_told_once() -> None:
    left = dataclasses.replace(TOLD, contactable=False)
    assert due(TOLD, left) == "contact"
    assert due(left, dataclasses.replace(left, grade="A1", cycle=2)) is None
    assert due(left, TOLD) == "contact"


def test_nothing_is_due_where_nothing_changed() -> None:
    assert due(TOLD, dataclasses.replace(TOLD, engagement=34_999, fit=35_001)) is None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"cycle": 2, "grade": "A1"}, "cycle"),
        ({"cut": datetime(2026, 3, 1, tzinfo=UTC)}, "cycle"),
        ({"enters": True, "holds": True, "level_reason": "threshold"}, "level"),
        ({"hand_raised_at": datetime(2026, 3, 1, tzinfo=UTC)}, "level"),
        ({"grade": "B3"}, "grade"),
        ({"do_not_contact": True}, "consent"),
        ({"members": frozenset({"e:ada@acme.example", "u:7"})}, "membership"),
        ({"routing_traits": {"country": "AT"}}, "traits"),
        ({"engagement": 35_000}, "moved"),
        ({"fit": 35_000}, "moved"),
    ],
)
def test_what_routing_acts_on_makes_a_snapshot_due(change: dict[str, Any], reason: str) -> None:
    assert due(TOLD, dataclasses.replace(TOLD, **change)) == reason
