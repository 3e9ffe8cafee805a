"""What a wired service looks like from outside, so that one process or many can run it alike."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from starlette.types import ASGIApp

from shared.contracts.topics import ServiceName

RoleName = Literal["worker", "relay", "timer"]


class Runner(Protocol):
    """A long-running part of a service (a worker, a relay, a timer)."""

    async def run(self, stop: asyncio.Event) -> None:
        """Run until `stop` is set, then finish the work in hand and return. Raising ends the process."""
        ...


@dataclass(frozen=True, slots=True)
class Finding:
    """One result of the reconciliation: what was checked, over how many, and what is wrong."""

    check: str
    checked: int
    problems: Sequence[str] = ()

    @property
    def ok(self) -> bool:
        return not self.problems


class Views(Protocol):
    """A service's part of the pages that show several services at once."""

    async def status(self) -> Mapping[str, Any]:
        """Counts, lags and ages, as JSON-ready values."""
        ...

    async def reconcile(self) -> Sequence[Finding]:
        """Check the service's own tables against its promises."""
        ...

    async def lead(self, lead_id: str) -> Mapping[str, Any] | None:
        """The service's part of a lead's page; None where it does not know the lead."""
        ...


@dataclass(frozen=True, slots=True)
class WiredService:
    """One service, wired: its HTTP application (hot paths in front) and its roles."""

    name: ServiceName
    api: ASGIApp
    views: Views
    roles: Mapping[RoleName, Runner] = field(default_factory=dict)
