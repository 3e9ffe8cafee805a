"""Messages of topic `leadline.leads`: decode a batch, hand it to the use case, reject what cannot be read."""

from collections.abc import Callable, Sequence
from datetime import datetime

import msgspec
import structlog

from services.routing.usecases.act_on_handoff import LeadsMoved
from services.routing.usecases.ports import Store
from services.routing.usecases.receive_snapshots import Message, receive_snapshots
from shared.bus.port import Record
from shared.consumer.outcome import Rejection, Retry
from shared.contracts.envelope import MalformedEnvelope, from_headers
from shared.contracts.leads import MERGED, SCORED, UNMERGED, LeadMerged, LeadScored, LeadUnmerged
from shared.db.database import Transaction

log = structlog.get_logger(__name__)

StoreOf = Callable[[Transaction, datetime | None], Store]

DECODERS: dict[str, msgspec.json.Decoder[LeadScored] | msgspec.json.Decoder[LeadMerged]
               | msgspec.json.Decoder[LeadUnmerged]] = {
    SCORED: msgspec.json.Decoder(LeadScored),
    MERGED: msgspec.json.Decoder(LeadMerged),
    UNMERGED: msgspec.json.Decoder(LeadUnmerged),
}  # fmt: skip


class HandleLeads:
    """The consumer's handler. A type that is not known is skipped: contracts only grow."""

    def __init__(self, store_of: StoreOf) -> None:
        self._store_of = store_of

    async def __call__(self, tx: Transaction, records: Sequence[Record]) -> Sequence[Rejection]:
        messages: list[Message] = []
        rejections: list[Rejection] = []
        for record in records:
            try:
                decoder = DECODERS.get(from_headers(record.headers).type)
                if decoder is not None:
                    messages.append(decoder.decode(record.value))
            except MalformedEnvelope as bad:
                rejections.append(Rejection(record, "malformed_envelope", str(bad)))
            except (msgspec.DecodeError, UnicodeDecodeError):
                rejections.append(
                    Rejection(record, "malformed_payload", "The payload does not fit its type.")
                )
        if messages:
            try:
                await receive_snapshots(self._store_of(tx, None), messages)
            except LeadsMoved as moved:
                raise Retry from moved
        return rejections
