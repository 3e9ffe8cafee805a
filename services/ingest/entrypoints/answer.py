"""Answers of the open doors: JSON, redirects, problems, and the CORS headers that browsers' SDKs need."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.types import Send

from services.ingest.entrypoints.request import Head
from shared.db.errors import RETRY_AFTER_SECONDS
from shared.web.json_bytes import json_bytes
from shared.web.problem import MEDIA_TYPE, FieldError, Problem

JSON = b"application/json"
HTML = b"text/html; charset=utf-8"

RawHeaders = list[tuple[bytes, bytes]]
_ALWAYS = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer. The body of a `fault` is written when it is sent, with the id of the request in it."""

    status: int
    body: bytes = b""
    content_type: bytes = JSON
    headers: RawHeaders = field(default_factory=list)
    fault: Problem | None = None


def ok(value: Any) -> Answer:
    return Answer(200, json_bytes(value))


def problem(
    status: int,
    code: str,
    detail: str,
    *,
    headers: RawHeaders | None = None,
    errors: Sequence[FieldError | Mapping[str, Any]] = (),
) -> Answer:
    """Return a problem+json answer. Source: RFC 9457."""
    fault = Problem(status, code, detail, errors=errors)
    return Answer(status, content_type=MEDIA_TYPE.encode(), headers=headers or [], fault=fault)


def packed_otherwise() -> Answer:
    """Return 415: the body is packed in a way that the doors cannot undo. Source: RFC 9110, 15.5.16."""
    return problem(
        415,
        "unsupported_encoding",
        "Content-Encoding must be gzip or identity",
        headers=[(b"accept-encoding", b"gzip, identity")],
        errors=[{"pointer": "/content-encoding", "detail": "must be gzip or identity", "in": "header"}],
    )


def unavailable(detail: str) -> Answer:
    """Return 503 with an integer Retry-After: the only kind that every SDK reads."""
    seconds = str(RETRY_AFTER_SECONDS).encode()
    return problem(503, "unavailable", detail, headers=[(b"retry-after", seconds)])


def not_allowed(allowed: str) -> Answer:
    return problem(405, "method_not_allowed", "use another method", headers=[(b"allow", allowed.encode())])


def see_other(url: str) -> Answer:
    return Answer(303, b"", HTML, [(b"location", url.encode("ascii", "ignore"))])


def preflight(head: Head) -> Answer:
    """Return the answer to a CORS preflight: whatever headers are asked for, clients add new ones."""
    asked = head.header(b"access-control-request-headers")
    headers = [
        (b"access-control-allow-methods", b"GET, POST, OPTIONS"),
        (b"access-control-max-age", b"600"),
    ]
    if asked:
        headers.append((b"access-control-allow-headers", asked.encode("latin-1", "ignore")))
    return Answer(204, headers=headers)


def cors(head: Head) -> RawHeaders:
    """Return the headers that let a page read the answer.

    The origin is echoed with credentials, since beacons always send them: these doors take no cookie as proof
    of anything and give nothing back. Without exposing it browsers do not see Retry-After.
    """
    if b"origin" not in head.raw:
        return []
    origin = head.header(b"origin")
    return [
        (b"access-control-allow-origin", origin.encode("latin-1", "ignore")),
        (b"access-control-allow-credentials", b"true"),
        (b"access-control-expose-headers", b"Retry-After"),
        (b"vary", b"Origin"),
    ]


async def send_answer(answer: Answer, head: Head, send: Send) -> None:
    """Send an answer with its CORS headers."""
    body = answer.fault.body(head.request_id) if answer.fault else answer.body
    headers = [(b"content-length", b"%d" % len(body)), *answer.headers, *cors(head)]
    if answer.status != 204:
        headers.append((b"content-type", answer.content_type))
    headers += _ALWAYS
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
