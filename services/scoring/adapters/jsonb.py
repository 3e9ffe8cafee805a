"""JSON for `jsonb` columns, which refuse the NUL character that JSON allows."""

from typing import Any

import msgspec


def to_jsonb(value: Any) -> str:
    """Return `value` as JSON text without NUL characters, in keys or values."""
    text = msgspec.json.encode(value).decode()
    if "\\u0000" not in text:
        return text
    # Rare, and the six characters may be harmless text: so the values are cleaned, not the text.
    return msgspec.json.encode(_without_nul(msgspec.json.decode(text))).decode()


def _without_nul(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\x00", "")
    if isinstance(value, list):
        return [_without_nul(item) for item in value]
    if isinstance(value, dict):
        return {_without_nul(name): _without_nul(item) for name, item in value.items()}
    return value
