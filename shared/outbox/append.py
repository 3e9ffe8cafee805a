"""Writing events to the service's outbox inside the business transaction; the relay sends them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from shared.db.database import Transaction


@dataclass(frozen=True, slots=True)
class OutboxEvent:
    """An event to publish: CloudEvents id and type, topic, partition key, instant, JSON payload."""

    id: str
    topic: str
    type: str
    key: str
    time: datetime
    payload: bytes


async def append(tx: Transaction, events: Sequence[OutboxEvent]) -> None:
    """Add events to the outbox of `tx.schema`, in order; an id already there is left as it is.

    The relay is woken once the transaction has committed.
    """
    raise NotImplementedError  # written by the plumbing slice
