"""What is read of leads, without locks: lists, pages, timelines, scores at any instant."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from services.scoring.domain.score import Score
from services.scoring.usecases.publish_model import PublishedModel


@dataclass(frozen=True, slots=True)
class LeadFilter:
    """Which leads are listed; scores in milli-points. `contactable`: None lists anonymous visitors too."""

    email: str | None = None
    domain: str | None = None
    grade: str | None = None
    min_fit: int | None = None
    min_engagement: int | None = None
    enters: bool | None = None
    contactable: bool | None = True
    id_prefix: str | None = None


@dataclass(frozen=True, slots=True)
class ScoreAt:
    """A lead's score at an instant, with what it was cut to."""

    lead_id: str
    score: Score
    cycle: int
    cut: datetime | None
    members: Sequence[str]


class LeadReads(Protocol):
    """Reads of one installation; every call sees committed data only."""

    async def survivor(self, lead_id: str) -> str | None:
        """Follow redirects; None where the id has never been given out."""
        ...

    async def page(
        self, wanted: LeadFilter, after: tuple[datetime, str] | None, limit: int
    ) -> list[dict[str, Any]]:
        """Return leads, youngest first, from the one after `after` on."""
        ...

    async def lead(self, lead_id: str) -> dict[str, Any] | None: ...

    async def timeline(
        self, lead_id: str, after: tuple[datetime, str] | None, limit: int
    ) -> list[dict[str, Any]]:
        """Return a lead's activity, latest first."""
        ...

    async def score(self, lead_id: str, as_of: datetime | None) -> ScoreAt | None:
        """Score from the timeline itself, with activity up to `as_of` (None: now)."""
        ...


class ModelShelf(Protocol):
    """The published versions of the scoring model."""

    async def listed(self) -> list[PublishedModel]: ...

    async def publish(self, document: str, *, actor: str) -> Mapping[str, Any]:
        """Publish; the leads are scored anew in the background. Raises ConfigError."""
        ...
