"""Traits of a lead: which of two values holds, one name for each, and what is derived from them."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any


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
    raise AssertionError("body follows")


def resolve_traits(facts: Iterable[TraitFact]) -> dict[str, Any]:
    """Return one value per trait: the last by (occurred_at, event id)."""
    raise AssertionError("body follows")


def with_features(
    traits: Mapping[str, Any], emails: Collection[str], *, disposable_domains: Collection[str] = frozenset()
) -> dict[str, Any]:
    """Return the resolved traits plus derived features: what fit rules, required and routing traits read.

    Adds `email`, `email_domain`, `email_kind` (company, free, disposable, role), `seniority`, `department`,
    `employees` (number), `company_size` (band), `country` (ISO 3166 alpha-2 where it is known), `student`.
    """
    raise AssertionError("body follows")


def primary_email(emails: Collection[str], *, disposable_domains: Collection[str] = frozenset()) -> str | None:
    """Return the address a rep should write to: company before free before role before disposable, then lowest."""
    raise AssertionError("body follows")
