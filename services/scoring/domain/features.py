"""Traits of a lead: which of two values holds, one name for each, and what is derived from them."""

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from services.scoring.domain.countries import country_code
from services.scoring.domain.titles import read_title

EmailKind = Literal["company", "free", "disposable", "role"]
ReadEmailKind = Callable[[str], EmailKind]

# Which spellings stand for a trait, best first; compared without case, spaces and separators.
ALIASES: Mapping[str, tuple[str, ...]] = {
    "title": ("title", "jobtitle", "position", "jobrole", "role", "job", "function"),
    "company": ("company", "companyname", "company.name", "organization", "organisation", "employer"),
    "employees": (
        "employees", "employeecount", "numberofemployees", "numemployees", "company.employeecount",
        "company.employees", "companysize", "company.size", "headcount",
    ),
    "industry": ("industry", "sector", "branche", "company.industry"),
    "country": ("country", "countrycode", "address.country", "company.country", "location.country"),
    "website": ("website", "companywebsite", "company.website", "domain", "company.domain"),
    "first_name": ("firstname", "givenname", "fname", "vorname"),
    "last_name": ("lastname", "familyname", "surname", "lname", "nachname"),
    "phone": ("phone", "phonenumber", "mobile", "mobilephone", "tel"),
    "language": ("language", "locale", "lang"),
    "budget": ("budget", "projectbudget"),
    "timeline": ("timeline", "timeframe", "purchasetimeframe"),
    "do_not_contact": ("donotcontact", "dnc", "unsubscribed", "optedout", "emailoptout"),
}  # fmt: skip
_CANONICAL = {
    spelling: (name, rank) for name, spellings in ALIASES.items() for rank, spelling in enumerate(spellings)
}
_NOT_LETTERS = re.compile(r"[\s_\-]+")
_KIND_RANK: Mapping[str, int] = {"company": 0, "free": 1, "role": 2, "disposable": 3}
# EU recommendation 2003/361/EC up to medium; enterprise as the trade uses it.
_SIZES = ((1000, "enterprise"), (250, "large"), (50, "medium"), (10, "small"), (0, "micro"))
_COUNT = re.compile(r"(\d+(?:[ .,'\u00a0\u202f]\d{3})*|\d+)(?:[.,](\d))?\s*(k)?", re.IGNORECASE)
_ACADEMIC = re.compile(r"\.edu(?:\.[a-z]{2})?$|\.ac\.[a-z]{2}$|(?:^|\.)(?:uni|stud|student|students)[-.]")


@dataclass(frozen=True, slots=True)
class TraitFact:
    """One trait as one event of one identity gave it. `name` is canonical (`canonical_traits`)."""

    name: str
    value: Any
    occurred_at: datetime
    event_id: str


def canonical_traits(traits: Mapping[str, Any]) -> dict[str, Any]:
    """Return traits as sent under one name each (`jobTitle` -> `title`), nested ones flattened one level.

    Empty values are dropped; of several spellings of one trait the first listed in `ALIASES` wins.
    """
    found: dict[str, tuple[int, str, Any]] = {}
    for name, value in _flattened(traits):
        spelling = _NOT_LETTERS.sub("", name).casefold()
        canonical, rank = _CANONICAL.get(spelling, (name.strip().casefold(), 0))
        claim = (rank, name, value)
        # Two fields of one spelling: the name decides, so that their order in the body does not.
        if canonical not in found or claim[:2] < found[canonical][:2]:
            found[canonical] = claim
    return {name: claim[2] for name, claim in found.items()}


def _flattened(traits: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    for name, value in traits.items():
        if isinstance(value, Mapping):
            inner = ((f"{name}.{key}", item) for key, item in value.items() if not isinstance(item, Mapping))
            yield from ((path, item) for path, item in inner if not _empty(item))
        elif not _empty(value):
            yield name, value


def _empty(value: Any) -> bool:
    return value is None or value in ("", [], ()) or (isinstance(value, str) and not value.strip())


def resolve_traits(facts: Iterable[TraitFact]) -> dict[str, Any]:
    """Return one value per trait: the last by (occurred_at, event id)."""
    last: dict[str, TraitFact] = {}
    for fact in facts:
        held = last.get(fact.name)
        if held is None or (held.occurred_at, held.event_id) < (fact.occurred_at, fact.event_id):
            last[fact.name] = fact
    return {name: last[name].value for name in sorted(last)}


def with_features(
    traits: Mapping[str, Any], emails: Collection[str], email_kind: ReadEmailKind
) -> dict[str, Any]:
    """Return the resolved traits plus derived features: what fit rules, required and routing traits read.

    Adds `email`, `email_domain`, `email_kind` (company, free, disposable, role), `academic_email`,
    `seniority`, `department`, `student`, `employees` (number), `company_size` (band) and `country` (ISO 3166
    alpha-2); `company` falls back to the domain of a company e-mail. What cannot be read is left out, so that
    it is unknown.
    """
    found = dict(traits)
    found |= _email_features(primary_email(emails, email_kind), email_kind)
    if found.get("email_kind") in ("company", "role"):
        found.setdefault("company", found["email_domain"])
    found |= _title_features(traits.get("title"))
    found |= _or_unknown(found, "employees", employee_count(traits.get("employees")))
    if found.get("employees") is not None:
        found["company_size"] = next(band for least, band in _SIZES if found["employees"] >= least)
    country = traits.get("country")
    found |= _or_unknown(found, "country", country_code(country) if isinstance(country, str) else None)
    return {name: value for name, value in found.items() if value is not None}


def _or_unknown(found: Mapping[str, Any], name: str, value: Any) -> dict[str, Any]:
    return {name: value} if name in found else {}


def _email_features(email: str | None, email_kind: ReadEmailKind) -> dict[str, Any]:
    if email is None:
        return {}
    domain = email.rpartition("@")[2]
    found = {"email": email, "email_domain": domain, "email_kind": email_kind(email)}
    return found | {"academic_email": bool(_ACADEMIC.search(domain))}


def _title_features(title: Any) -> dict[str, Any]:
    seniority, department = read_title(title) if isinstance(title, str) else (None, None)
    student = None if seniority is None else seniority == "student"
    return {"seniority": seniority, "department": department, "student": student}


def employee_count(value: Any) -> int | None:
    """Return the employees of `250`, `51-200` (the lower end), `1,000+`, `2k`; None where it is no number."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return int(value) if 0 <= value < 10_000_000 else None
    read = _COUNT.search(value) if isinstance(value, str) else None
    if read is None:
        return None
    whole = int(re.sub(r"\D", "", read[1])[:8])
    return whole * 1000 + int(read[2] or 0) * 100 if read[3] else whole


def primary_email(emails: Collection[str], email_kind: ReadEmailKind) -> str | None:
    """Return the address to write to: company before free before role before disposable, then the lowest."""
    return min(emails, key=lambda email: (_KIND_RANK[email_kind(email)], email), default=None)
