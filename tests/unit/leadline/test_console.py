"""What a person at the terminal reads for each event of the feed."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from leadline.console import Line, line_of, scored_line
from leadline.follow import Held
from shared.contracts.topics import HANDOFFS

AT = "2026-11-02T10:00:00+00:00"
LEAD = "ld_0123456789abcdef"


def told(kind: str, **data: Any) -> str:
    line = line_of({"type": kind, "time": AT, "data": {"lead_id": LEAD, "at": AT, **data}})
    assert line is not None
    return line.text.split("  ", 2)[2].strip()


@pytest.mark.parametrize(
    ("kind", "data", "text"),
    [
        ("leadline.lead.qualified.v1", {"grade": "A1"}, "qualified (MQL, grade A1)"),
        (
            "leadline.lead.qualified.v1",
            {"grade": "B2", "queue": "inbound"},
            "qualified (MQL, grade B2); waits in queue inbound",
        ),
        (
            "leadline.handoff.assigned.v1",
            {"person_id": "ana", "rep": {"name": "Ana Silva"}, "reason": "territory DACH"},
            "handed over to Ana Silva: territory DACH",
        ),
        ("leadline.handoff.accepted.v1", {"person_id": "ana"}, "accepted by ana"),
        (
            "leadline.handoff.closed.v1",
            {"person_id": "ana", "outcome": "rejected", "reason": "no_budget"},
            "rejected by ana (no budget)",
        ),
        (
            "leadline.handoff.closed.v1",
            {"person_id": "ana", "outcome": "timed_out"},
            "taken from ana: not accepted in time; waits in a queue",
        ),
        (
            "leadline.handoff.closed.v1",
            {"person_id": "ana", "outcome": "timed_out", "successor_id": "ho_2"},
            "taken from ana: not accepted in time",
        ),
        (
            "leadline.sla.escalated.v1",
            {"person_id": "ana", "clock": "accept", "rung": 3, "action": "out_of_rotation"},
            "escalated: accept, rung 3, ana out of rotation",
        ),
        (
            "leadline.lead.lifecycle_changed.v1",
            {"from_state": "lost", "to_state": "recycled", "reason": "no_budget"},
            "lost -> recycled: no budget",
        ),
        (
            "leadline.lead.lifecycle_changed.v1",
            {"from_state": "assigned", "to_state": "disqualified", "reason": "not_a_fit"},
            "assigned -> disqualified: not a fit",
        ),
        ("leadline.lead.merged.v1", {"survivor_id": "ld_fedcba9876543210"}, "merged into ld_fedcba98"),
        ("leadline.handoff.cycle_opened.v1", {"cycle": 2, "why": "recycled"}, "cycle 2 opened (recycled)"),
    ],
)
def test_each_event_is_told_in_the_words_of_sales(kind: str, data: dict[str, Any], text: str) -> None:
    assert told(kind, **data) == text


@pytest.mark.parametrize(
    ("from_state", "to_state"),
    [
        ("qualified", "assigned"),
        ("assigned", "recycled"),
        ("accepted", "recycled"),
        ("working", "recycled"),
        ("opportunity", "recycled"),
    ],
)
def test_moves_that_have_an_event_of_their_own_are_not_told_twice(from_state: str, to_state: str) -> None:
    event = {
        "type": "leadline.lead.lifecycle_changed.v1",
        "time": AT,
        "data": {"lead_id": LEAD, "from_state": from_state, "to_state": to_state, "reason": "no_budget"},
    }
    assert line_of(event) is None


def test_every_type_on_the_feed_has_a_line() -> None:
    from leadline.console import LINES

    assert set(HANDOFFS.types) == set(LINES)


def test_an_unknown_type_says_nothing_rather_than_failing() -> None:
    assert line_of({"type": "leadline.other.v9", "time": AT, "data": {}}) is None


def test_a_line_never_shows_the_lead_as_a_person() -> None:
    person = {"email": "ada@example.com", "first_name": "Ada"}
    line = told("leadline.handoff.assigned.v1", person_id="ana", reason="fit", person=person)
    assert "ada" not in line.lower()


def test_a_snapshot_is_told_with_points_grade_and_why_it_qualifies() -> None:
    line = scored_line(
        {
            "lead_id": LEAD,
            "fit": 61500,
            "engagement": 40000,
            "grade": "B2",
            "enters": True,
            "level_reason": "hand_raise",
        },
        datetime(2026, 11, 2, tzinfo=UTC),
    )
    assert line.text.endswith("scored 62 fit, 40 engagement: B2, over the threshold (hand raise)")


def test_people_are_told_by_name_where_it_is_known() -> None:
    accepted = {"type": "leadline.handoff.accepted.v1", "time": AT, "data": {"person_id": "femi"}}
    warned = {"type": "leadline.sla.warned.v1", "time": AT, "data": {"recipient": "femi", "clock": "accept"}}
    names = {"femi": "Femi Adeyemi"}
    for event, end in ((accepted, "accepted by Femi Adeyemi"), (warned, "told Femi Adeyemi")):
        line = line_of(event, names)
        assert line is not None
        assert line.text.endswith(end)


def test_a_score_that_began_anew_says_since_when() -> None:
    snapshot = {"lead_id": LEAD, "fit": 95000, "engagement": 0, "grade": "A4", "cycle": 2, "cut": AT}
    line = scored_line(snapshot, datetime(2026, 11, 2, tzinfo=UTC))
    assert line.text.endswith("scored 95 fit, 0 engagement since cycle 2 opened: A4")


def test_a_cause_that_is_read_after_its_effect_is_shown_before_it() -> None:
    now = datetime(2026, 11, 2, 10, 0, 5, tzinfo=UTC)
    held = Held()
    held.add([Line(now - timedelta(seconds=3), "scored")])
    held.add(
        [Line(now - timedelta(seconds=4), "rejected"), Line(now - timedelta(seconds=4), "cycle 2 opened")]
    )
    held.add([Line(now, "too new")])
    assert held.take(now) == ["rejected", "cycle 2 opened", "scored"]
    assert held.take(None) == ["too new"]
