"""Writing events to the service's outbox inside the business transaction; the relay sends them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from shared.db.database import Transaction
from shared.outbox.wakeup import wake


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

    Call it while holding the lock of each event's key (the lead's row): ids are drawn in the order of the
    calls, and that is the order in which a key's events are sent. The relay is woken once the transaction
    has committed.
    """
    if not events:
        return
    await tx.connection.execute(
        f"INSERT INTO {tx.schema}.outbox (event_id, topic, type, key, time, payload)"
        " SELECT id, topic, type, key, time, payload"
        " FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::bytea[])"
        " WITH ORDINALITY AS e (id, topic, type, key, time, payload, n) ORDER BY n"
        " ON CONFLICT (event_id) DO NOTHING",
        [event.id for event in events],
        [event.topic for event in events],
        [event.type for event in events],
        [event.key for event in events],
        [event.time for event in events],
        [event.payload for event in events],
    )
    tx.after_commit.append(partial(wake, tx.schema))
