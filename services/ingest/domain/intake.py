"""What ingest keeps: receipts of submissions, and items that wait in quarantine for repair."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from services.ingest.domain.activity import Arrival
from services.ingest.domain.clock_skew import parse_instant, spelled

Door = Literal["tracking", "form"]
QuarantineState = Literal["held", "replayed", "discarded"]
Receipted = Literal["received", "mapped", "quarantined", "duplicate", "discarded"]


@dataclass(frozen=True, slots=True)
class Doorstep:
    """How an item came in, with what is needed to read it again later: see `read_message`, `Submission`."""

    arrival: Arrival
    kind: str | None = None
    sent_at: Any = None
    trust_clock: bool = False
    cookie_id: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return this as JSON values; `received_at` is kept beside it."""
        arrival = self.arrival
        return {
            "ip": arrival.ip,
            "user_agent": arrival.user_agent,
            "referrer": arrival.referrer,
            "locale": arrival.locale,
            "browser": arrival.browser,
            "kind": self.kind,
            # A clock that cannot be read tells nothing, now or later.
            "sent_at": spelled(instant) if (instant := parse_instant(self.sent_at)) else None,
            "trust_clock": self.trust_clock,
            "cookie_id": self.cookie_id,
        }

    @staticmethod
    def from_json(values: Mapping[str, Any], received_at: datetime) -> "Doorstep":
        """Read back what `to_json` wrote."""
        return Doorstep(
            arrival=Arrival(
                received_at=received_at,
                ip=values.get("ip"),
                user_agent=values.get("user_agent"),
                referrer=values.get("referrer"),
                locale=values.get("locale"),
                browser=bool(values.get("browser")),
            ),
            kind=values.get("kind"),
            sent_at=values.get("sent_at"),
            trust_clock=bool(values.get("trust_clock")),
            cookie_id=values.get("cookie_id"),
        )


@dataclass(frozen=True, slots=True)
class Posted:
    """A submission as it came in. `idempotency_key` is the request's own, where it sent the header."""

    submission_id: str
    source: str
    raw: bytes
    headers: Mapping[str, str]
    doorstep: Doorstep
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """A submission as it came in, secrets struck out. `message_id` is fixed before anything else happens."""

    submission_id: str
    source: str
    message_id: str
    raw: bytes
    headers: Mapping[str, str]
    doorstep: Doorstep


@dataclass(frozen=True, slots=True)
class Original:
    """The submission that another one repeats, and when it claimed what they share."""

    submission_id: str
    claimed_at: datetime


@dataclass(frozen=True, slots=True)
class Parked:
    """An accepted item that cannot be an activity yet: why, and all that reading it again takes."""

    id: str
    door: Door
    source: str
    message_id: str
    code: str
    detail: str
    pointer: str
    body: bytes
    doorstep: Doorstep
    submission_id: str | None = None
    state: QuarantineState = "held"
    repaired_body: bytes | None = None
    attempts: int = 0
    event_id: str | None = None
    parked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of a submission; `spooled`: it is safe on disk, and the rest is decided later."""

    submission_id: str
    state: Receipted | Literal["spooled"]
    event_id: str | None = None
    duplicate_of: str | None = None
    quarantine_id: str | None = None
    reasons: tuple[str, ...] = field(default=())
