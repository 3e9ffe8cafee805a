"""What ingest's use cases need from outside."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from typing import Protocol

from services.ingest.domain.intake import Original, Parked, Posted, Receipt, Receipted
from shared.bus.port import Outgoing
from shared.outbox.append import OutboxEvent


class StoreUnavailable(Exception):
    """Ingest's tables cannot be written now; nothing was promised. Retry later, or answer 503."""


class Intake(Protocol):
    """One open transaction on ingest's tables."""

    async def add_receipt(self, receipt: Receipt) -> None:
        """Keep the submission as `received`; one that is already there stays as it is."""
        ...

    async def claim(self, receipt: Receipt, key_hash: str, *, window: timedelta | None) -> Original | None:
        """Claim a key for the receipt; return another submission that held it within `window` (None: ever).

        Waits for another open transaction that claims the same key.
        """
        ...

    async def settle(
        self,
        submission_id: str,
        state: Receipted,
        *,
        event_id: str | None = None,
        original: Original | None = None,
    ) -> None:
        """Record what became of a submission."""
        ...

    async def give_up_claim(self, submission_id: str) -> None:
        """Let go of the key that a submission claimed: who sends the same again is heard."""
        ...

    async def park(self, items: Sequence[Parked]) -> None:
        """Hold items in quarantine; one that is already there stays as it is."""
        ...

    async def publish(self, events: Sequence[OutboxEvent]) -> None:
        """Add events to the outbox: two contents under one id both, the same content once."""
        ...

    async def lock_parked(self, ids: Sequence[str]) -> Sequence[Parked]:
        """Return and lock these items, in order of id; unknown ones are left out."""
        ...

    async def lock_held(
        self, *, code: str | None, source: str | None, after: str, limit: int
    ) -> Sequence[Parked]:
        """Return and lock held items whose id comes after `after`, in order of id."""
        ...

    async def release(
        self, item: Parked, *, event_id: str | None, repaired_body: bytes | None, actor: str
    ) -> None:
        """Mark an item as replayed (with its event) or discarded (without one)."""
        ...

    async def hold_again(self, item: Parked, *, code: str, detail: str, pointer: str, actor: str) -> None:
        """Record another attempt that failed, and why."""
        ...


class IntakeStore(Protocol):
    """Opens transactions on ingest's tables. Behind a guard they raise StoreUnavailable."""

    def transaction(self) -> AbstractAsyncContextManager[Intake]: ...


class Reserve(Protocol):
    """Where what belongs into ingest's tables is kept while they are away, to be brought there later.

    Raises StoreUnavailable where it cannot be kept either.
    """

    async def keep_submission(self, posted: Posted) -> None:
        """Keep a submission as it came in."""
        ...

    async def keep_parked(self, items: Sequence[Parked]) -> None:
        """Keep items for quarantine."""
        ...


class Log(Protocol):
    """The part of the bus that tracking needs."""

    async def append(self, messages: Sequence[Outgoing]) -> None:
        """Return when every message is durable, or raise BusUnavailable."""
        ...


class SourceConfigs(Protocol):
    """Versions of the sources file."""

    async def active(self) -> tuple[str, str, datetime] | None:
        """Return version, text and time of activation of the active file."""
        ...

    async def activate(self, version: str, document: str, *, actor: str) -> None:
        """Keep a version and make it the active one."""
        ...

    async def install_default(self, version: str, document: str) -> None:
        """Make a version the active one where there is none yet."""
        ...
