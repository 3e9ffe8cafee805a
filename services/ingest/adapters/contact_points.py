"""One spelling for each e-mail address and phone number, by email-validator and phonenumbers."""

from functools import lru_cache

import phonenumbers
from email_validator import EmailNotValidError, validate_email

from services.ingest.domain.activity import Contact

# Providers that deliver `name+tag` to `name`; elsewhere a plus may be part of somebody else's name.
PLUS_TAG_PROVIDERS = frozenset(
    {
        "gmail.com", "googlemail.com", "outlook.com", "hotmail.com", "live.com", "msn.com", "icloud.com",
        "me.com", "mac.com", "fastmail.com", "proton.me", "protonmail.com", "pm.me", "zoho.com",
    }
)  # fmt: skip
_LONGEST_EMAIL = 254
_LONGEST_PHONE = 60


def canonical_email(text: str) -> str | None:
    """Return the address in lower case, without the tag where the provider ignores it; None where it is none.

    Nothing is looked up: whether mail would arrive is not asked.
    """
    text = text.strip().removeprefix("mailto:").strip("<>")
    # Before the cache: it must not keep whatever long texts anybody sends.
    if not text or len(text) > _LONGEST_EMAIL:
        return None
    return _email(text)


@lru_cache(maxsize=20_000)
def _email(text: str) -> str | None:
    try:
        found = validate_email(text, check_deliverability=False)
    except (EmailNotValidError, ValueError):
        return None
    local, domain = found.local_part.lower(), found.domain.lower()
    if domain in PLUS_TAG_PROVIDERS:
        local = local.split("+", 1)[0] or local
    return f"{local}@{domain}"


def canonical_phone(text: str, region: str | None) -> str | None:
    """Return the number in E.164, read as dialled in `region`; None where it is no possible, valid number."""
    return _phone(text, region) if len(text) <= _LONGEST_PHONE else None


@lru_cache(maxsize=20_000)
def _phone(text: str, region: str | None) -> str | None:
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


CONTACT = Contact(email=canonical_email, phone=canonical_phone)
