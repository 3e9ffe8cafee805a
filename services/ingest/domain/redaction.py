"""Secrets are struck out of a submission before it is kept."""

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, quote_plus

from services.ingest.domain.form_fields import Field, find_fields

# Fields that no lead form asks for on purpose.
SECRETS = (
    "google_key", "password", "passwd", "pwd", "api_key", "apikey", "access_token", "authorization",
    "write_key", "card_number", "credit_card", "cvv", "cvc", "iban", "ssn",
)  # fmt: skip
KEPT_HEADERS = frozenset(
    {
        "content-type", "content-encoding", "user-agent", "origin", "referer", "accept", "accept-language",
        "sec-fetch-mode", "sec-fetch-site", "sec-fetch-dest", "x-request-id", "webhook-id",
        "webhook-timestamp", "x-shopify-topic", "x-shopify-event-id",
    }
)  # fmt: skip
_STRUCK = b"[redacted]"
_SHORT = 4


def without_secrets(raw: bytes, body: dict[str, Any], names: tuple[str, ...]) -> bytes:
    """Return the raw bytes with the values of secret fields struck out, however they are spelled.

    Looked for in the bytes as they came only: struck out one after the other, short values would find
    themselves in what was put in for the others, and the body would grow without end.
    """
    secret = {*SECRETS, *names}
    spans: list[tuple[int, int]] = []
    for field in find_fields(body):
        if secret.intersection(field.names) and isinstance(field.value, (str, int)) and str(field.value):
            for spelled in _spellings(str(field.value)):
                spans += _words(raw, spelled) if len(spelled) >= _SHORT else _led(raw, spelled, field)
    kept: list[bytes] = []
    end = 0
    for start, stop in sorted(spans):
        if start >= end:
            # A bare number becomes a bare number: what is kept must still be readable when it is replayed.
            kept += (raw[end:start], b"0" if raw[start:stop].isdigit() else _STRUCK)
        end = max(end, stop)
    return b"".join((*kept, raw[end:]))


def _spellings(value: str) -> set[bytes]:
    """Return a value as plain text, forms, addresses and JSON spell it."""
    text = value.encode("utf-8", "replace")
    return {text, quote_plus(text).encode(), quote(text, safe="").encode(), json.dumps(value)[1:-1].encode()}


def _words(raw: bytes, value: bytes) -> Iterator[tuple[int, int]]:
    """Yield where the value stands as a word of its own, not as a part of another."""
    start = raw.find(value)
    while start >= 0:
        stop = start + len(value)
        if not (raw[max(start - 1, 0) : start].isalnum() or raw[stop : stop + 1].isalnum()):
            yield start, stop
        start = raw.find(value, stop)


def _led(raw: bytes, value: bytes, field: Field) -> Iterator[tuple[int, int]]:
    """Yield where a short value follows the name of its field; by itself it would be found everywhere."""
    leaf = field.path.rpartition(".")[2].encode("utf-8", "replace")
    name = b"(?:value|answer|text)" if field.answer else re.escape(leaf)
    pattern = name + rb"(?:%5D)?[^A-Za-z0-9]{1,8}(" + re.escape(value) + rb")(?![A-Za-z0-9])"
    for found in re.finditer(pattern, raw):
        yield found.span(1)


def kept_headers(headers: list[tuple[str, str]]) -> dict[str, str]:
    """Return the headers that are kept with a receipt: no credentials, no cookies."""
    return {name: value[:1000] for name, value in headers if name in KEPT_HEADERS}
