"""The form door, as bare ASGI: whatever a form sends is stored first, and a person is sent on to a page."""

import asyncio
from dataclasses import dataclass
from typing import Any

import structlog
from starlette.types import Receive, Scope, Send

from services.ingest.domain.activity import Contact
from services.ingest.domain.intake import Doorstep, Posted, Settled
from services.ingest.domain.plain_values import Shape
from services.ingest.domain.redaction import kept_headers
from services.ingest.domain.source import Source, Sources
from services.ingest.entrypoints.answer import (
    HTML,
    Answer,
    not_allowed,
    ok,
    preflight,
    problem,
    see_other,
    send_answer,
    unavailable,
)
from services.ingest.entrypoints.request import (
    BodyTooLarge,
    BodyUnreadable,
    Head,
    read_bounded,
)
from services.ingest.entrypoints.tracking import FindSender, KeysUnavailable
from services.ingest.usecases.follow_sources import CurrentSources, SourcesUnavailable
from services.ingest.usecases.lint_sources import SOURCE_NAME
from services.ingest.usecases.ports import IntakeStore, Reserve, StoreUnavailable
from services.ingest.usecases.submit_form import take_submission
from shared.clock import Clock
from shared.db.errors import RETRY_AFTER_SECONDS, is_transient
from shared.ids import new_submission_id
from shared.observability.metrics import INGEST_MESSAGES

log = structlog.get_logger()

# What senders call a delivery, best first. Sources: Idempotency-Key draft, Standard Webhooks, Shopify.
_KEY_HEADERS = (b"idempotency-key", b"webhook-id", b"x-shopify-event-id")
_THANKS = b"<!doctype html><title>Thank you</title><p>Thank you, we have received your message.</p>"
_SORRY = (
    b"<!doctype html><title>Please try again</title>"
    b"<p>We could not store your message just now. Please send it again in a few seconds.</p>"
)


@dataclass(frozen=True, slots=True)
class FormDoor:
    """Everything that the form door needs. `reserve`: where submissions go while the store is away."""

    sources: CurrentSources
    store: IntakeStore
    reserve: Reserve | None
    contact: Contact
    shape: Shape
    clock: Clock
    find_sender: FindSender
    # Shorter than the deadline in front of it, so that the answer carries the CORS headers.
    deadline_seconds: float = 4.2
    max_bytes: int = 2_000_000

    async def __call__(self, name: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request to /v1/forms/<name>."""
        head = Head.of(scope)
        answer = await self._answer(name, scope["method"], head, receive)
        await send_answer(answer, head, send)

    async def _answer(self, name: str, method: str, head: Head, receive: Receive) -> Answer:
        if not SOURCE_NAME.fullmatch(name):
            return problem(404, "no_such_source", "the name of a source is a-z, 0-9, - and _")
        if method == "OPTIONS":
            return preflight(head)
        if method in {"GET", "HEAD"}:
            return ok({"source": name})
        if method not in {"POST", "PUT", "PATCH"}:
            return not_allowed("GET, POST, PUT, PATCH, OPTIONS")
        try:
            raw = await read_bounded(receive, self.max_bytes)
        except BodyTooLarge:
            return problem(413, "too_large", f"the body is larger than {self.max_bytes} bytes")
        except BodyUnreadable:
            return problem(400, "unreadable", "the body cannot be unpacked: it is damaged, or ends early")
        return await self._take(name, head, raw)

    async def _take(self, name: str, head: Head, raw: bytes) -> Answer:
        try:
            async with asyncio.timeout(self.deadline_seconds):
                sources = await self.sources.get()
                source = sources.by_name.get(name)
                if source and source.require_key and not await self._may_send(head):
                    return problem(401, "unknown_key", "this source asks for a key with the scope `ingest`")
                settled = await self._settle(self._posted(name, head, raw), sources)
        except (SourcesUnavailable, KeysUnavailable, StoreUnavailable):
            return _later(head)
        except Exception as fault:
            if is_transient(fault):
                return _later(head)
            log.exception("ingest.form_failed", source=name)
            return problem(500, "internal_error", "the submission could not be stored")
        INGEST_MESSAGES.labels("form", settled.state).inc()
        return _thanks(settled, source, head)

    async def _settle(self, posted: Posted, sources: Sources) -> Settled:
        return await take_submission(
            posted,
            sources,
            store=self.store,
            reserve=self.reserve,
            contact=self.contact,
            shape=self.shape,
        )

    def _posted(self, name: str, head: Head, raw: bytes) -> Posted:
        told = (head.header(header).strip() for header in _KEY_HEADERS)
        return Posted(
            submission_id=new_submission_id(),
            source=name,
            raw=raw,
            headers=kept_headers(head.headers),
            doorstep=Doorstep(arrival=head.arrival(self.clock.now()), cookie_id=head.cookie_id()),
            idempotency_key=next((key for key in told if key), None),
        )

    async def _may_send(self, head: Head) -> bool:
        for key in (*head.keys(), head.query.get("key", "")):
            if key and (sender := await self.find_sender(key)):
                return sender.may_send
        return False


def _later(head: Head) -> Answer:
    if head.navigates:
        seconds = str(RETRY_AFTER_SECONDS).encode()
        return Answer(503, _SORRY, HTML, [(b"retry-after", seconds)])
    return unavailable("the submission cannot be stored now")


def _thanks(settled: Settled, source: Source | None, head: Head) -> Answer:
    if head.navigates:
        if source and source.thank_you_url:
            return see_other(source.thank_you_url)
        return Answer(200, _THANKS, HTML)
    answer: dict[str, Any] = {
        "success": True,
        "submission_id": settled.submission_id,
        "state": "accepted" if settled.state == "mapped" else settled.state,
    }
    if settled.duplicate_of:
        answer["duplicate_of"] = settled.duplicate_of
    if settled.quarantine_id:
        code, detail = settled.reasons
        answer |= {"quarantine_id": settled.quarantine_id, "code": code, "detail": detail}
    return ok(answer)
