"""`leadline sla check`: what it says about cases that agree, that differ, and lines that are no case."""

import json
from typing import Any

import pytest

from services.routing.usecases.check_deadlines import check_deadlines

CASE: dict[str, Any] = {
    "id": "office-1",
    "calendar": {
        "timezone": "Europe/Berlin",
        "weekly": {"mon": [["09:00", "17:00"]], "tue": [["09:00", "24:00"]], "wed": [["22:00", "06:00"]]},
        "holidays": ["2026-06-01"],
    },
    "start": "2026-06-01T07:00:00+00:00",
    "business_seconds": 3600,
    "pauses": [["2026-06-02T07:00:00+00:00", "2026-06-02T07:30:00+00:00"]],
    "deadline": "2026-06-02T08:30:00+00:00",
}


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in CASE.items() if key != name}


def calendar(**changes: Any) -> dict[str, Any]:
    return {**CASE, "calendar": {**CASE["calendar"], **changes}}


def test_cases_that_agree_are_only_counted() -> None:
    assert check_deadlines([json.dumps(CASE), "", json.dumps(CASE)]) == (2, [])


def test_a_case_that_differs_is_told_with_both_deadlines() -> None:
    wrong = {**CASE, "deadline": "2026-06-02T10:31:00+02:00"}
    checked, mismatches = check_deadlines(["", json.dumps(wrong)])
    assert checked == 1
    assert mismatches == [
        "line 2: office-1: expected 2026-06-02T10:31:00+02:00, found 2026-06-02T10:30:00+02:00"
    ]


MALFORMED: list[tuple[str, str]] = [
    ("{", "not JSON"),
    ("[]", "not a JSON object"),
    ("[" * 100_000, "not JSON"),
    (json.dumps(without("deadline")), "deadline is missing"),
    (json.dumps(without("calendar")), "calendar is missing"),
    (json.dumps({**CASE, "start": "yesterday"}), "start is not an ISO 8601 instant"),
    (json.dumps({**CASE, "start": "2026-06-01T07:00:00"}), "start has no UTC offset"),
    (json.dumps({**CASE, "business_seconds": "1h"}), "business_seconds"),
    (json.dumps({**CASE, "business_seconds": -1}), "business_seconds"),
    (json.dumps({**CASE, "pauses": [["2026-06-02T07:00:00+00:00"]]}), "pauses"),
    (json.dumps(calendar(weekly={"monday": []})), "'monday' is no weekday"),
    (json.dumps(calendar(weekly={})), "never open"),
    (json.dumps(calendar(weekly={"mon": [["25:00", "26:00"]]})), "no time of day"),
    (json.dumps(calendar(weekly={"mon": ["09:00-17:00"]})), "cannot be read"),
    (json.dumps(calendar(timezone="Mars/Olympus")), "no time zone 'Mars/Olympus'"),
    (json.dumps(calendar(holidays=["Christmas"])), "cannot be read"),
]


@pytest.mark.parametrize(("line", "words"), MALFORMED)
def test_a_line_that_is_no_case_is_told_with_its_number(line: str, words: str) -> None:
    checked, mismatches = check_deadlines([json.dumps(CASE), line])
    assert checked == 2
    assert len(mismatches) == 1
    assert mismatches[0].startswith("line 2: not a case: ")
    assert words in mismatches[0]


def test_a_deadline_that_never_comes_is_a_mismatch() -> None:
    far = {**calendar(weekly={"mon": [["09:00", "09:01"]]}), "business_seconds": 9_000_000}
    checked, mismatches = check_deadlines([json.dumps(far)])
    assert checked == 1
    assert "found none" in mismatches[0]
