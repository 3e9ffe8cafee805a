"""Parsed JSON as bytes, the same for every order of its keys: what body hashes are made of."""

from typing import Any

import orjson

from services.ingest.domain.plain_values import encoded


def canonical(value: Any) -> bytes:
    """Return the JSON of a value with its keys sorted.

    What the fast encoder refuses (lone surrogates, integers beyond 64 bits, deep nesting) the slow one takes:
    the choice hangs on the value alone, never on how or with what neighbours it came in.
    """
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        return encoded(value)


def plain_canonical(value: Any) -> bytes:
    """Return what `canonical` does; TypeError for what only the slow encoder takes or beyond 53 bits."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER)
