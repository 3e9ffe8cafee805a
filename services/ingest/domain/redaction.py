"""Secrets are struck out of a submission before it is kept."""

import json
from typing import Any
from urllib.parse import quote, quote_plus

from services.ingest.domain.form_fields import find_fields

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


def without_secrets(raw: bytes, body: dict[str, Any], names: tuple[str, ...]) -> bytes:
    """Return the raw bytes with the values of secret fields struck out, however they are spelled."""
    secret = {*SECRETS, *names}
    for field in find_fields(body):
        if secret.intersection(field.names) and isinstance(field.value, (str, int)) and str(field.value):
            value = str(field.value)
            for spelled in (value, quote_plus(value), quote(value, safe=""), json.dumps(value)[1:-1]):
                raw = raw.replace(spelled.encode("utf-8", "replace"), _STRUCK)
    return raw


def kept_headers(headers: list[tuple[str, str]]) -> dict[str, str]:
    """Return the headers that are kept with a receipt: no credentials, no cookies."""
    return {name: value[:1000] for name, value in headers if name in KEPT_HEADERS}
