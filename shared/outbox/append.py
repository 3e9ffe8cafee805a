"""Writing events to the service's outbox inside the business transaction; the relay sends them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from hashlib import sha256

from shared.db.database import Transaction
from shared.outbox.wakeup import wake

_BESIDE = "#"


@dataclass(frozen=True, slots=True)
class OutboxEvent:
    """An event to publish: CloudEvents id and type, topic, partition key, instant, JSON payload."""

    id: str
    topic: str
    type: str
    key: str
    time: datetime
    payload: bytes


def beside(event: OutboxEvent) -> OutboxEvent:
    """Return the event under a row of its own, next to other content under its id; `sent_id` undoes it."""
    return replace(event, id=f"{event.id}{_BESIDE}{sha256(event.payload).hexdigest()[:32]}")


def sent_id(row_id: str) -> str:
    """Return the CloudEvents id under which the row with this id is sent."""
    return row_id.partition(_BESIDE)[0]


async def append(tx: Transaction, events: Sequence[OutboxEvent]) -> int:
    """Add events to the outbox of `tx.schema`, in order; an id already there is left as it is.

    Returns how many were added.

    Call it while holding the lock of each event's key (the lead's row): ids are drawn in the order of the
    calls, and that is the order in which a key's events are sent. The relay is woken once the transaction
    has committed.
    """
    if not events:
        return 0
    done: str = await tx.connection.execute(
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
    return int(done.rpartition(" ")[2])
