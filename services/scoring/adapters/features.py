"""Features that need reference data: kind of mailbox, company domain, a name split in parts."""

from collections.abc import Collection, Mapping
from typing import Any

from services.scoring.adapters.email_domains import company_domain, email_kind
from services.scoring.domain.features import with_features

DOMAIN_LENGTH = 253


def derive_features(traits: Mapping[str, Any], emails: Collection[str]) -> dict[str, Any]:
    """Return the resolved traits plus all derived features (`usecases.ports.DeriveFeatures`)."""
    found = with_features(traits, emails, email_kind)
    email = found.get("email")
    domain = company_domain(email) if email else None
    if domain is not None:
        found["company_domain"] = domain
    elif not _is_domain(found.get("company_domain")):
        found.pop("company_domain", None)
    return _name_parts(found)


def _is_domain(told: Any) -> bool:
    """A domain that a form told is stored and indexed: text of at most 253 characters (RFC 1035)."""
    return isinstance(told, str) and len(told) <= DOMAIN_LENGTH


def _name_parts(found: dict[str, Any]) -> dict[str, Any]:
    """Split a full name where no parts were given: the last word is the family name."""
    name = found.get("name") or found.get("full_name") or found.get("fullname")
    if isinstance(name, str) and "first_name" not in found and "last_name" not in found:
        words = name.split()
        if words:
            found["first_name"] = " ".join(words[:-1]) or words[0]
        if len(words) > 1:
            found["last_name"] = words[-1]
    return found
