"""The comparison of scores is shown what it is there to find."""

from datetime import UTC, datetime, timedelta
from typing import Any, cast

import httpx2
import pytest

from services.scoring.domain.compile import compile_model
from services.scoring.domain.identity import Identity
from tests.faults.checks import scores
from tests.faults.machine import Machine
from tests.faults.recorded import Recorded
from tests.support.scoring_world import MODEL, activity

ADA, ADA_TOO = Identity("email", "ada@acme.example"), Identity("user", "ada")
AS_OF = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
RECENTLY = AS_OF - timedelta(hours=1)
FORM_OF_ADA = activity(
    1, kind="form", name="demo", user_id=ADA_TOO.value, email=ADA.value, traits={"title": "Director"},
    occurred_at=RECENTLY, received_at=RECENTLY,
)  # fmt: skip
RECORDED = Recorded(compile_model(MODEL), [FORM_OF_ADA], {}, [], [], {ADA: "ld_1", ADA_TOO: "ld_1"})


def machine_and_client(**changed: Any) -> tuple[Machine, httpx2.Client]:
    """Return a machine that has scored `RECORDED` well, save for the fields that are changed."""

    def answer(request: httpx2.Request) -> httpx2.Response:
        (lead,) = scores.expected(RECORDED, datetime.fromisoformat(request.url.params["as_of"]))
        score = {name: getattr(lead, name) for name in scores.COMPARED}
        score["lines"] = [{"points": line.points} for line in lead.lines]
        return httpx2.Response(200, json=score | changed)

    return cast(Machine, Somewhere()), httpx2.Client(transport=httpx2.MockTransport(answer))


class Somewhere:
    """The part of a machine that is asked."""

    def base(self, path: str) -> str:
        return "http://machine.test"


def compared(leads: dict[Identity, str], **changed: Any) -> list[str]:
    """Return what the comparison finds."""
    machine, client = machine_and_client(**changed)
    with client:
        told = scores.ask(machine, client, leads, AS_OF)
    return list(scores.unlike(told, {lead.core: lead for lead in scores.expected(RECORDED, AS_OF)}))


def test_scores_that_are_right_pass() -> None:
    assert compared(dict(RECORDED.leads)) == []


@pytest.mark.parametrize(
    ("changed", "found"),
    [
        ({"fit": 1}, "fit is 1"),
        ({"engagement": 1}, "engagement is 1"),
        ({"grade": "Z9"}, "grade is Z9"),
        ({"enters": None}, "enters is None"),
        ({"holds": None}, "holds is None"),
        ({"hand_raise": None}, "hand_raise is None"),
        ({"needs_data": None}, "needs_data is None"),
        ({"lines": []}, "the lines add up to 0"),
    ],
    ids=lambda one: next(iter(one)) if isinstance(one, dict) else "",
)
def test_a_wrong_score_is_found(changed: dict[str, Any], found: str) -> None:
    (difference,) = compared(dict(RECORDED.leads), **changed)
    assert found in difference


@pytest.mark.parametrize("other", [{ADA_TOO: "ld_2"}, {}], ids=["in two", "in none"])
def test_a_person_who_is_not_one_lead_is_found(other: dict[Identity, str]) -> None:
    (difference,) = compared({ADA: "ld_1", **other})
    assert "is 2 leads" in difference
