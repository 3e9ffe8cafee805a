"""Identities as text keys (`e:ada@example.com`): one column, sorted as the domain sorts (kind, value)."""

from services.scoring.domain.identity import Identity, IdentityKind

_LETTER: dict[IdentityKind, str] = {"anonymous": "a", "email": "e", "user": "u"}
_KIND: dict[str, IdentityKind] = {letter: kind for kind, letter in _LETTER.items()}

# Keys from here on are e-mails and user ids; those before are anonymous ids.
FIRST_PERSON_KEY = "e:"


def key_of(identity: Identity) -> str:
    """Return the key of an identity."""
    return f"{_LETTER[identity.kind]}:{identity.value}"


def identity_of(key: str) -> Identity:
    """Return the identity of a key made by `key_of`."""
    return Identity(_KIND[key[0]], key[2:])
