"""What an API key is; apart from `auth` so that who only makes keys need not load the web framework."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

KeyScope = Literal["ingest", "read", "work", "admin"]
SCOPES: tuple[KeyScope, ...] = ("ingest", "read", "work", "admin")

PRIVATE_PREFIX = "ll_"
PUBLIC_PREFIX = "wk_"
MAX_TOKEN = 200

_IMPLIED: dict[KeyScope, frozenset[KeyScope]] = {
    "ingest": frozenset({"ingest"}),
    "read": frozenset({"read"}),
    "work": frozenset({"work", "read"}),
    "admin": frozenset(SCOPES),
}


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key that was presented. `actor`: the person it belongs to, if any; `source`: what it writes for.

    `public`: a write key that may be read in a page's source; it can only write.
    """

    id: str
    scopes: frozenset[KeyScope]
    name: str = ""
    actor: str | None = None
    source: str | None = None
    public: bool = False
    expires_at: datetime | None = None

    def allows(self, scope: KeyScope) -> bool:
        """Return whether the key has `scope`; admin implies all, work implies read."""
        return any(scope in _IMPLIED[held] for held in self.scopes)
