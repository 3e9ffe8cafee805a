"""Traits, titles, countries and company sizes as people write them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.scoring.domain.countries import country_code
from services.scoring.domain.features import (
    EmailKind,
    TraitFact,
    canonical_traits,
    employee_count,
    primary_email,
    resolve_traits,
    with_features,
)
from services.scoring.domain.titles import read_title

T0 = datetime(2026, 3, 1, tzinfo=UTC)


def _kind(email: str) -> EmailKind:
    kinds: dict[str, EmailKind] = {"gmail.com": "free", "mailinator.com": "disposable"}
    return "role" if email.startswith("info@") else kinds.get(email.partition("@")[2], "company")


@pytest.mark.parametrize(
    ("title", "seniority", "department"),
    [
        ("CEO", "c_level", "executive"),
        ("Assistant to the CEO", "assistant", "executive"),
        ("Executive Assistant to the Managing Director", "assistant", "executive"),
        ("Assistentin der Geschäftsführung", "assistant", "executive"),
        ("Assistante de direction", "assistant", None),
        ("Asistente del Director General", "assistant", "executive"),
        ("Intern, Office of the CEO", "intern", "executive"),
        ("Analyst reporting to the CFO", "specialist", "finance"),
        ("Chief of Staff to the CEO", "director", "executive"),
        ("Assistant Vice President", "manager", "executive"),
        ("Vice President of Marketing", "vp", "marketing"),
        ("President", "c_level", "executive"),
        ("Geschäftsführer", "c_level", "executive"),
        ("Directeur Général", "c_level", "executive"),
        ("Gerente General", "c_level", "executive"),
        ("Gerente de Compras", "manager", "procurement"),
        ("Leiter Einkauf", "director", "procurement"),
        ("Marketingleiterin", "director", "marketing"),
        ("Teamleiter IT", "manager", "it"),
        ("Head of Procurement", "director", "procurement"),
        ("Directrice marketing", "director", "marketing"),
        ("Responsable RH", "manager", "human_resources"),
        ("Owner", "founder", "executive"),
        ("Product Owner", "specialist", "product"),
        ("Co-Founder & CEO", "founder", "executive"),
        ("Founder's Associate", "specialist", "executive"),
        ("Managing Partner", "c_level", "executive"),
        ("HR Business Partner", "specialist", "human_resources"),
        ("Account Executive", "specialist", "sales"),
        ("Account Manager", "specialist", "sales"),
        ("Art Director", "specialist", None),
        ("Senior Software Engineer", "senior", "engineering"),
        ("Werkstudent Marketing", "student", "marketing"),
        ("Étudiante", "student", None),
        ("Internal Auditor", "specialist", "finance"),
        ("International Sales Manager", "manager", "sales"),
        ("Ex-CEO", "former", "executive"),
        ("  ", None, None),
    ],
)
def test_a_title_tells_seniority_and_department(
    title: str, seniority: str | None, department: str | None
) -> None:
    assert read_title(title) == (seniority, department)


@given(st.text(max_size=300))
def test_any_text_may_stand_for_a_title(title: str) -> None:
    seniority, department = read_title(title)
    assert seniority is not None or department is None


@pytest.mark.parametrize(
    ("told", "employees"),
    [
        ("250", 250), (250, 250), (51.0, 51), ("51-200", 51), ("1,000+", 1000), ("10 000", 10000),
        ("1.000-5.000", 1000), ("2k", 2000), ("1.5k", 1500), ("11 to 50 employees", 11), ("many", None),
        (True, None), (-3, None), (float("nan"), None), ("9" * 5000, 99999999),
    ],
)  # fmt: skip
def test_company_sizes_are_read_as_people_write_them(told: Any, employees: int | None) -> None:
    assert employee_count(told) == employees


@pytest.mark.parametrize(
    ("told", "code"), [("Deutschland", "DE"), ("uk", "GB"), ("USA", "US"), ("de", "DE"), ("Mordor", None)]
)
def test_countries_become_codes(told: str, code: str | None) -> None:
    assert country_code(told) == code


def test_spellings_of_a_trait_become_one_and_the_better_wins() -> None:
    told = {
        "position": "x",
        "Job Title": "CTO",
        "company": {"name": "Acme", "size": ""},
        "Plan": "pro",
        "x": None,
    }
    assert canonical_traits(told) == {"title": "CTO", "company": "Acme", "plan": "pro"}
    assert canonical_traits(dict(reversed(told.items()))) == canonical_traits(told)


@given(st.permutations(range(4)))
def test_of_two_values_the_last_by_time_and_then_event_id_holds(order: list[int]) -> None:
    facts = [
        TraitFact("title", "old", T0, "z"),
        TraitFact("title", "tie", T0 + timedelta(days=1), "a"),
        TraitFact("title", "new", T0 + timedelta(days=1), "b"),
        TraitFact("country", "DE", T0, "z"),
    ]
    assert resolve_traits(facts[at] for at in order) == {"country": "DE", "title": "new"}


def test_a_company_address_is_the_one_to_write_to() -> None:
    emails = ["info@acme.example", "ada@gmail.com", "ada@mailinator.com", "ada@acme.example"]
    assert primary_email(emails, _kind) == "ada@acme.example"
    assert primary_email(emails[:3], _kind) == "ada@gmail.com"
    assert primary_email([], _kind) is None


def test_features_come_beside_the_traits() -> None:
    traits = {"title": "VP Sales", "employees": "51-200", "country": "Germany"}
    assert with_features(traits, ["ada@acme.example"], _kind) == {
        "title": "VP Sales",
        "employees": 51,
        "company_size": "medium",
        "country": "DE",
        "email": "ada@acme.example",
        "email_domain": "acme.example",
        "email_kind": "company",
        "academic_email": False,
        "company": "acme.example",
        "seniority": "vp",
        "department": "sales",
        "student": False,
    }


def test_what_cannot_be_read_is_unknown() -> None:
    assert with_features({"employees": "many", "country": "Mordor"}, [], _kind) == {}


def test_universities_are_told_by_their_domains() -> None:
    domains = ("cs.mit.edu", "ox.ac.uk", "uni-bonn.de", "education.example", "unicorn.example")
    found = [with_features({}, [f"ada@{domain}"], _kind)["academic_email"] for domain in domains]
    assert found == [True, True, True, False, False]
