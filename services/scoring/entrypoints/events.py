"""What scoring does with messages: record activity, take over opened cycles, leave the rest."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial

import msgspec

from services.scoring.usecases.open_cycle import open_cycles
from services.scoring.usecases.ports import ConcurrentChange, Engine, Entry, Stores
from services.scoring.usecases.read_activity import BotVerdict, UnusableActivity, read_activity
from services.scoring.usecases.record_activity import record_activity
from shared.bus.port import Record
from shared.consumer.outcome import Rejection, Retry
from shared.contracts import activity, handoffs
from shared.contracts.activity import ActivityRecorded
from shared.contracts.envelope import MalformedEnvelope, type_of
from shared.contracts.handoffs import CycleOpened
from shared.db.database import Transaction
from shared.observability.metrics import SCORING_ACTIVITIES, SCORING_LEADS

OpenEngine = Callable[[Transaction], Awaitable[Engine]]
OpenStores = Callable[[Transaction], Stores]

_activity = msgspec.json.Decoder(ActivityRecorded)
_cycle = msgspec.json.Decoder(CycleOpened)


@dataclass(frozen=True, slots=True)
class ActivityHandler:
    """`shared.consumer.outcome.Handler` of topic `leadline.activity`."""

    open_engine: OpenEngine
    open_stores: OpenStores
    bot_verdict: BotVerdict

    async def __call__(self, tx: Transaction, records: Sequence[Record]) -> Sequence[Rejection]:
        engine = await self.open_engine(tx)
        rejected: list[Rejection] = []
        entries: list[Entry] = []
        for record in records:
            try:
                if type_of(record.headers) == activity.RECORDED:
                    message = _activity.decode(record.value)
                    entries.append(read_activity(message, engine.compiled, self.bot_verdict))
            except MalformedEnvelope as bad:
                rejected.append(Rejection(record, "malformed_envelope", str(bad)))
            except msgspec.MsgspecError:
                rejected.append(Rejection(record, "undecodable", "the value is not an activity"))
            except UnusableActivity as bad:
                rejected.append(Rejection(record, bad.code, str(bad)))
        try:
            settled = await record_activity(entries, self.open_stores(tx), engine)
        except ConcurrentChange as change:
            raise Retry(str(change)) from change
        tx.after_commit.append(partial(_count, entries, len(rejected), len(settled.leads)))
        return rejected


def _count(entries: Sequence[Entry], rejected: int, leads: int) -> None:
    bots = sum(entry.bot is not None for entry in entries)
    for outcome, number in (("read", len(entries) - bots), ("bot", bots), ("rejected", rejected)):
        SCORING_ACTIVITIES.labels(outcome).inc(number)
    SCORING_LEADS.inc(leads)


@dataclass(frozen=True, slots=True)
class HandoffHandler:
    """`shared.consumer.outcome.Handler` of topic `leadline.handoffs`: only opened cycles concern scoring."""

    open_engine: OpenEngine
    open_stores: OpenStores

    async def __call__(self, tx: Transaction, records: Sequence[Record]) -> Sequence[Rejection]:
        rejected: list[Rejection] = []
        messages: list[CycleOpened] = []
        for record in records:
            try:
                if type_of(record.headers) == handoffs.CYCLE_OPENED:
                    messages.append(_cycle.decode(record.value))
            except MalformedEnvelope as bad:
                rejected.append(Rejection(record, "malformed_envelope", str(bad)))
            except msgspec.MsgspecError:
                rejected.append(Rejection(record, "undecodable", "the value is not an opened cycle"))
        if not messages:
            return rejected  # most of this topic is nothing to scoring; opening an engine costs queries
        try:
            await open_cycles(messages, self.open_stores(tx), await self.open_engine(tx))
        except ConcurrentChange as change:
            raise Retry(str(change)) from change
        return rejected


@dataclass(frozen=True, slots=True)
class TopicHandler:
    """Hands a batch, which is of one topic, to the handler of that."""

    handlers: dict[str, ActivityHandler | HandoffHandler]

    async def __call__(self, tx: Transaction, records: Sequence[Record]) -> Sequence[Rejection]:
        return await self.handlers[records[0].partition.topic](tx, records)
