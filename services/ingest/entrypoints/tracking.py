"""The Segment-compatible tracking doors, as bare ASGI: they carry most of the traffic."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import chain
from typing import Any

import orjson
import structlog
from starlette.types import Receive, Scope, Send

from services.ingest.domain.errors import Malformed
from services.ingest.domain.intake import Doorstep
from services.ingest.domain.plain_values import encoded, kind_of, parse_leniently, text_or_none
from services.ingest.domain.tracking import ENVELOPE, with_envelope
from services.ingest.entrypoints.answer import (
    Answer,
    cors,
    not_allowed,
    ok,
    packed_otherwise,
    preflight,
    problem,
    send_answer,
    unavailable,
)
from services.ingest.entrypoints.request import (
    BodyTooLarge,
    BodyUnreadable,
    Head,
    read_bounded,
)
from services.ingest.usecases.accept_messages import Rules, Sorted, accept_messages, sort_messages
from services.ingest.usecases.ports import IntakeStore, Log, Reserve, StoreUnavailable
from shared.bus.port import BusUnavailable
from shared.clock import Clock
from shared.db.errors import is_transient
from shared.observability.metrics import INGEST_MESSAGES
from shared.web.exchange import LATE_HEADERS

log = structlog.get_logger()

# The door's own kind; None: the message says it. Imports are batches whose clocks are right.
SINGLE = {
    "track": "track", "identify": "identify", "page": "page", "screen": "screen", "group": "group",
    "alias": "alias", "t": "track", "i": "identify", "p": "page", "s": "screen", "g": "group", "a": "alias",
}  # fmt: skip
BATCH = frozenset({"batch", "b", "import"})
SDK_METRICS = "m"
_ACCEPTED = INGEST_MESSAGES.labels("tracking", "accepted")
_QUARANTINED = INGEST_MESSAGES.labels("tracking", "quarantined")
# How many times its largest size a request may grow by what its messages share.
_MOST_UNFOLDED = 20


class KeysUnavailable(Exception):
    """Whether the key is good cannot be said now."""


@dataclass(frozen=True, slots=True)
class Sender:
    """Who a write key stands for."""

    source: str
    may_send: bool


FindSender = Callable[[str], Awaitable[Sender | None]]


@dataclass(frozen=True, slots=True)
class TrackingDoor:
    """Everything that the tracking doors need. Limits in bytes and messages.

    `reserve`: where what cannot be read goes while the store is away.
    """

    find_sender: FindSender
    log: Log
    store: IntakeStore
    rules: Rules
    clock: Clock
    reserve: Reserve | None = None
    epoch: int = 1
    max_batch_bytes: int = 500_000
    max_batch_messages: int = 2500

    async def __call__(self, door: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request to /v1/<door>."""
        head = Head.of(scope)
        scope[LATE_HEADERS] = cors(head)
        answer = await self._answer(door, scope["method"], head, receive)
        await send_answer(answer, head, send)

    async def _answer(self, door: str, method: str, head: Head, receive: Receive) -> Answer:
        if method == "OPTIONS":
            return preflight(head)
        if method != "POST":
            return not_allowed("POST, OPTIONS")
        if door == SDK_METRICS:
            return ok({"success": True})
        try:
            raw = await read_bounded(receive, self.max_batch_bytes)
            body = _parsed(raw)
        except BodyTooLarge:
            return problem(413, "too_large", f"the body is larger than {self.max_batch_bytes} bytes")
        except BodyUnreadable:
            return problem(400, "malformed", "the body cannot be unpacked: it is damaged, or ends early")
        except Malformed as bad:
            # Only now: what stands before us may have unpacked it, and left the header.
            if head.packed_otherwise:
                return packed_otherwise()
            return problem(400, "malformed", str(bad))
        return await self._accept(door, head, body, len(raw))

    async def _accept(self, door: str, head: Head, body: dict[str, Any], size: int) -> Answer:
        # The key first: whoever has none is told that, and nothing of what else may be wrong.
        try:
            sender = await self._sender(head, body)
        except KeysUnavailable:
            return unavailable("keys cannot be checked now")
        if sender is None:
            return problem(401, "unknown_key", "the write key is missing or unknown")
        if not sender.may_send:
            return problem(403, "wrong_scope", "the key may not send events")
        messages = self._messages(door, body)
        if messages is None or len(messages) > self.max_batch_messages:
            return self._no_batch(messages)
        if self._unfolds(body, len(messages), size):
            return problem(413, "too_large", "the context of the batch is too large for so many messages")
        doorstep = Doorstep(
            arrival=head.arrival(self.clock.now()),
            kind=SINGLE.get(door),
            sent_at=body.get("sentAt"),
            trust_clock=door == "import",
        )
        batch = sort_messages(
            messages,
            source=sender.source,
            doorstep=doorstep,
            rules=self.rules,
            body_bytes=size,
            epoch=self.epoch,
        )
        return await self._keep(batch)

    async def _keep(self, batch: Sorted) -> Answer:
        try:
            await accept_messages(batch, log=self.log, store=self.store, reserve=self.reserve)
        except BusUnavailable:
            return unavailable("the bus cannot take events now")
        except StoreUnavailable:
            return unavailable("the database cannot take events now")
        except Exception as fault:
            if is_transient(fault):
                return unavailable("the database cannot take events now")
            log.exception("ingest.tracking_failed")
            return problem(500, "internal_error", "the events could not be stored")
        _ACCEPTED.inc(len(batch.good))
        if not batch.held:
            return ok({"success": True, "accepted": len(batch.good), "quarantined": []})
        _QUARANTINED.inc(len(batch.held))
        return ok(
            {
                "success": True,
                "accepted": len(batch.good),
                "quarantined": [
                    {
                        "index": held.index,
                        "id": held.item.id,
                        "message_id": held.item.message_id,
                        "code": held.item.code,
                        "detail": held.item.detail,
                        "pointer": held.item.pointer,
                    }
                    for held in batch.held
                ],
            }
        )

    def _no_batch(self, messages: list[Any] | None) -> Answer:
        if messages is None:
            status, code, fault = 400, "no_batch", "the body has no list of messages under `batch`"
        else:
            status, code, fault = 413, "too_many", f"a batch holds at most {self.max_batch_messages} messages"
        return problem(status, code, fault, errors=[{"pointer": "/batch", "detail": fault}])

    def _unfolds(self, body: dict[str, Any], messages: int, size: int) -> bool:
        """Return whether the envelope, a copy of which each message gets, makes far more of the request."""
        limit = _MOST_UNFOLDED * self.max_batch_bytes
        if messages * size <= limit:
            return False
        return messages * len(encoded([body.get(part) for part in ENVELOPE])) > limit

    @staticmethod
    def _messages(door: str, body: dict[str, Any]) -> list[Any] | None:
        if door not in BATCH:
            return [body]
        batch = body.get("batch")
        return with_envelope(batch, body) if isinstance(batch, list) else None

    async def _sender(self, head: Head, body: dict[str, Any]) -> Sender | None:
        tried = {""}
        for key in chain(head.keys(), (text_or_none(body.get("writeKey")) or "",)):
            if key not in tried and (sender := await self.find_sender(key)):
                return sender
            tried.add(key)
        return None


def _parsed(raw: bytes) -> dict[str, Any]:
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError:
        # Browsers cut strings in the middle of an emoji: one such item must not cost its batch.
        body = parse_leniently(raw)
    if not isinstance(body, dict):
        raise Malformed(f"the body is {kind_of(body)}, not an object")
    return body


def settings_answer(write_key: str, head: Head, public_url: str | None) -> Answer:
    """Return what analytics.js asks for before it sends anything: where to send it."""
    scheme, host = head.scheme, head.header(b"host") or "localhost"
    if public_url:
        scheme, _, host = public_url.partition("://")
    integration = {"apiKey": write_key, "apiHost": f"{host.rstrip('/')}/v1", "protocol": scheme}
    return ok(
        {
            "integrations": {"Segment.io": integration},
            "plan": {},
            "metrics": {"sampleRate": 0},
            "remotePlugins": [],
        }
    )
