"""What is spooled while its place is away, and what is done with it afterwards: the same as at the door."""

from collections.abc import Sequence
from typing import Any

import msgspec

from services.ingest.domain.activity import Contact
from services.ingest.domain.intake import Doorstep, Parked, Posted, Settled
from services.ingest.domain.plain_values import Shape
from services.ingest.domain.source import Sources
from services.ingest.usecases.ports import IntakeStore
from services.ingest.usecases.submit_form import prepare_submission, submit_form
from shared.bus.port import Outgoing

_encoder = msgspec.msgpack.Encoder()
_outgoing = msgspec.msgpack.Decoder(list[Outgoing])
_values = msgspec.msgpack.Decoder(dict[str, Any])


def pack_messages(messages: Sequence[Outgoing]) -> bytes:
    """Return messages for the bus as one record: they were one request and stay together."""
    return _encoder.encode(list(messages))


def unpack_messages(record: bytes) -> list[Outgoing]:
    """Return what `pack_messages` packed."""
    return _outgoing.decode(record)


def pack_submission(posted: Posted) -> bytes:
    """Return a submission as it came in, with the id and the instant that were fixed before anything else."""
    return _encoder.encode(
        {
            "submission_id": posted.submission_id,
            "source": posted.source,
            "raw": posted.raw,
            "headers": dict(posted.headers),
            "doorstep": posted.doorstep.to_json(),
            "received_at": posted.doorstep.arrival.received_at,
            "idempotency_key": posted.idempotency_key,
        }
    )


def unpack_submission(record: bytes) -> Posted:
    """Return what `pack_submission` packed."""
    values = _values.decode(record)
    doorstep = Doorstep.from_json(values.pop("doorstep"), values.pop("received_at"))
    return Posted(doorstep=doorstep, **values)


def pack_parked(items: Sequence[Parked]) -> bytes:
    """Return items for quarantine as one record."""
    return _encoder.encode(
        [
            {
                "id": item.id,
                "door": item.door,
                "source": item.source,
                "message_id": item.message_id,
                "code": item.code,
                "detail": item.detail,
                "pointer": item.pointer,
                "body": item.body,
                "doorstep": item.doorstep.to_json(),
                "received_at": item.doorstep.arrival.received_at,
            }
            for item in items
        ]
    )


def unpack_parked(record: bytes) -> list[Parked]:
    """Return what `pack_parked` packed."""
    return [
        Parked(doorstep=Doorstep.from_json(values.pop("doorstep"), values.pop("received_at")), **values)
        for values in msgspec.msgpack.decode(record, type=list[dict[str, Any]])
    ]


async def settle_spooled(
    record: bytes, *, sources: Sources, store: IntakeStore, contact: Contact, shape: Shape
) -> Settled:
    """Settle a submission from the spool in a transaction of its own, as the door would have."""
    prepared = prepare_submission(unpack_submission(record), sources)
    async with store.transaction() as intake:
        return await submit_form(prepared, intake, contact=contact, shape=shape)


async def park_spooled(records: Sequence[bytes], *, store: IntakeStore) -> None:
    """Put items from the spool into quarantine; those that are there already stay as they are."""
    async with store.transaction() as intake:
        await intake.park([item for record in records for item in unpack_parked(record)])
