"""What an e-mail address tells: who provides the mailbox, and which company's it is."""

from functools import lru_cache
from importlib.resources import files

from disposable_email_domains import blocklist
from publicsuffixlist import PublicSuffixList

from services.scoring.domain.features import EmailKind
from services.scoring.domain.identity import Identity, is_role_address


def _free_domains() -> frozenset[str]:
    text = files(__package__).joinpath("free_email_domains.txt").read_text("utf-8")
    return frozenset(line for line in text.splitlines() if line and not line.startswith("#"))


FREE_DOMAINS = _free_domains()
_SUFFIXES = PublicSuffixList(only_icann=True)


@lru_cache(maxsize=50_000)
def registrable_domain(domain: str) -> str | None:
    """Return the registrable part of a domain (`mail.acme.co.uk` -> `acme.co.uk`); None for a bare suffix."""
    found = _SUFFIXES.privatesuffix(domain)
    return str(found) if found else None


def email_kind(email: str) -> EmailKind:
    """Return what kind of mailbox a canonical e-mail is; the provider weighs more than the role."""
    domain = email.rpartition("@")[2]
    registrable = registrable_domain(domain)
    if domain in FREE_DOMAINS or registrable in FREE_DOMAINS:
        return "free"
    if domain in blocklist or registrable in blocklist:
        return "disposable"
    return "role" if is_role_address(Identity("email", email)) else "company"


def company_domain(email: str) -> str | None:
    """Return the company's registrable domain; None where the provider serves everybody."""
    domain = email.rpartition("@")[2]
    return registrable_domain(domain) if email_kind(email) in ("company", "role") else None
