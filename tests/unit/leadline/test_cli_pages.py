"""`explain rep` and `lead show` print for people: names, points, and why it was nobody else's turn."""

from typing import Any

import pytest

from leadline.cli.decision_text import decision_text
from leadline.cli.lead_text import MOST_ACTIVITIES, lead_text

AT = "2026-11-02T10:00:00+00:00"
NAMES = {"ana": "Ana Silva", "ben": "Ben Adler"}
LEAD = "ld_417f50525e698ab16c7ec96fc163f575"


def candidate(person: str, share: float, had: int, deadline: int | None, lost: str = "") -> dict[str, Any]:
    return {
        "person_id": person, "share": round(share * 10**9), "assigned": had, "deadline": deadline,
        "weight": 1, "numbers": {"open": 0}, "lost_because": lost, "until": None,
    }  # fmt: skip


def decided(method: str, *candidates: dict[str, Any]) -> str:
    decision = {
        "person_id": "ana", "queue": None, "reason": "Sales", "method": method, "candidates": candidates,
        "path": [{"rule": "all", "result": "taken", "target": {"kind": "team", "id": "sales"}}],
        "inputs": {"fit": 61500}, "policy_version": "p1", "model_version": "m1",
    }  # fmt: skip
    return "\n".join(decision_text(decision, NAMES))


@pytest.mark.parametrize(
    ("method", "loser", "why"),
    [
        ("earliest_deadline", (0.7, 0, 2), "due later"),
        ("earliest_deadline", (0.6, 0, 1), "due as soon but owed less"),
        ("earliest_deadline", (1.5, 2, 3), "they have had their share"),
        ("earliest_deadline", (0.75, 0, 1), "the same debt and the later id"),
        ("largest_shortfall", (0.6, 0, 1), "owed less"),
    ],
)
def test_not_their_turn_is_explained_by_the_numbers_that_decided_it(
    method: str, loser: tuple[float, int, int], why: str
) -> None:
    text = decided(method, candidate("ben", *loser, "not_their_turn"), candidate("ana", 0.75, 0, 1))
    assert f"Ben Adler: not their turn, {why} (" in text
    assert text.index("Ana Silva: chosen") < text.index("Ben Adler")


def test_the_inputs_of_a_decision_are_in_points() -> None:
    assert "inputs: fit=61.5" in decided("", candidate("ana", 0, 0, None))


def test_a_lead_named_to_somebody_has_no_turn_to_explain() -> None:
    assert "Ana Silva: chosen (weight 1, open 0)" in decided("", candidate("ana", 0, 0, None))


def overview() -> dict[str, Any]:
    activity = {
        "occurred_at": AT,
        "kind": "page",
        "name": "Pricing",
        "signals": ["pricing_page"],
        "bot": None,
    }
    clock = {"kind": "first_touch", "person_id": "ana", "due_at": AT, "seconds_left": 5400.0, "paused": None}
    return {
        "lead_id": LEAD,
        "scoring": {
            "fit": 61500, "engagement": 0, "grade": "B4", "enters": False, "cycle": 2,
            "identities": {"email": ["ada@example.com"]},
            "traits": {"first_name": "Ada", "company": "Example"},
            "timeline": [activity] * (MOST_ACTIVITIES + 3),
        },
        "routing": {
            "state": "accepted", "since": AT, "cycle": 2, "holder": "ana",
            "rejected_by": ["ben"],
            "clocks": [{**clock, "state": "running"}, {**clock, "state": "cancelled", "kind": "accept"}],
            "handoffs": [{"person_id": "ana", "cycle": 2, "assigned_at": AT, "accepted_at": AT}],
            "transitions": [{"at": AT, "from_state": "assigned", "to_state": "accepted", "reason": ""}],
        },
    }  # fmt: skip


def test_a_lead_is_shown_on_one_page_with_points_names_and_what_is_left_out() -> None:
    text = "\n".join(lead_text(overview(), NAMES))
    for expected in (
        "Ada, Example", "Ana Silva", "rejected by  Ben Adler",
        "61.5 fit, 0 engagement since cycle 2 opened: B4, below the threshold",
        "first touch of Ana Silva: due", "90 min left", f"({MOST_ACTIVITIES} of {MOST_ACTIVITIES + 3})",
    ):  # fmt: skip
        assert expected in text
    assert "  accept of" not in text


def test_a_lead_that_routing_does_not_know_yet_is_shown_too() -> None:
    text = "\n".join(lead_text({"lead_id": LEAD, "scoring": overview()["scoring"]}))
    assert "not known to routing yet" in text
