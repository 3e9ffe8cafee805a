"""Reading request bodies: bytes counted while they arrive, unpacked within bounds, JSON without surprises.

What others trip over (NUL, NaN, half surrogates, deep nesting, endless numbers, repeated keys) is answered
with a 400 that says where; nothing of it becomes a 5xx later, in Postgres or in a worker.
"""

import re
import zlib
from dataclasses import dataclass
from typing import Any

import orjson
from starlette.types import Receive, Scope

from shared.web.problem import Problem, json_pointer, unsupported_header

_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_NOT_A_NUMBER = re.compile(rb"\b(?:NaN|-?Infinity)\b")
_LONG_NUMBER = re.compile(rb"[0-9]{300,}|[0-9][eE]\+?[0-9]{3,}")
_GZIP_WINDOW = 31
_ZLIB_WINDOW = 15
_RAW_WINDOW = -15


class ClientGone(Exception):
    """The client hung up before its body was complete; there is nobody to answer."""


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """Bounds of a body: bytes (as sent, and unpacked), nesting and number of keys of its JSON."""

    max_bytes: int = 512 * 1024
    max_depth: int = 32
    max_keys: int = 20_000


DEFAULT_LIMITS = BodyLimits()


async def read_body(scope: Scope, receive: Receive, limits: BodyLimits = DEFAULT_LIMITS) -> bytes:
    """Return the unpacked body of an ASGI request.

    Raises Problem 413 (too large), 415 (encoding not gzip, deflate or identity), 400 (damaged), ClientGone.
    """
    encoding, declared = _headers(scope)
    if declared is not None and declared > limits.max_bytes:
        raise _too_large(limits)
    chunks: list[bytes] = []
    size = 0
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limits.max_bytes:
            raise _too_large(limits)
        chunks.append(chunk)
        more = message.get("more_body", False)
    return unpack(b"".join(chunks), encoding, limits)


def unpack(raw: bytes, encoding: str, limits: BodyLimits = DEFAULT_LIMITS) -> bytes:
    """Undo a Content-Encoding without ever holding more than `limits.max_bytes`."""
    if encoding in ("", "identity") or not raw:
        return raw
    if encoding in ("gzip", "x-gzip"):
        return _inflate(raw, _GZIP_WINDOW, limits)
    if encoding == "deflate":
        # Some clients send bare deflate under this name; a zlib stream starts with a checked two-byte header.
        is_zlib = raw[0] & 0x0F == 8 and len(raw) > 1 and int.from_bytes(raw[:2], "big") % 31 == 0
        return _inflate(raw, _ZLIB_WINDOW if is_zlib else _RAW_WINDOW, limits)
    raise unsupported_header("Content-Encoding", "unsupported_encoding", "must be gzip, deflate or identity")


def parse_json(raw: bytes, limits: BodyLimits = DEFAULT_LIMITS) -> Any:
    """Return the JSON value of a body; what is in it fits Postgres, msgspec and JSON alike.

    Raises Problem 400 with a stable code: `not_json`, `json_nul`, `json_nan`, `json_surrogate`,
    `json_number`, `json_depth`, `json_keys`, `json_duplicate_key`, `not_utf8`.
    """
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as refused:
        raise _explain(raw, refused) from None
    bare = _STRING.sub(b'"', raw)
    # Most bodies are small and flat; the careful walk is for those that could break a rule.
    if b"\\u0000" in raw or bare.count(b"[") + bare.count(b"{") > limits.max_depth:
        _walk(value, limits)
    keys = _count_keys(value)
    if keys > limits.max_keys:
        raise Problem(400, "json_keys", f"The body has more than {limits.max_keys} keys.")
    # Repeated keys collapse while parsing: then the text has more of them than the value.
    if bare.count(b":") != keys:
        raise Problem(400, "json_duplicate_key", "An object names the same key twice.")
    return value


def _count_keys(root: Any) -> int:
    keys = 0
    stack = [root]
    while stack:
        value = stack.pop()
        if type(value) is dict:
            keys += len(value)
            stack.extend(item for item in value.values() if type(item) is dict or type(item) is list)
        elif type(value) is list:
            stack.extend(item for item in value if type(item) is dict or type(item) is list)
    return keys


def _walk(root: Any, limits: BodyLimits) -> None:
    """Refuse NUL in any text and nesting beyond the limit, naming the place."""
    stack: list[tuple[Any, tuple[str | int, ...]]] = [(root, ())]
    while stack:
        value, path = stack.pop()
        if isinstance(value, str):
            if "\x00" in value:
                raise _bad("json_nul", path, "contains the character \\u0000")
        elif isinstance(value, dict | list):
            if len(path) >= limits.max_depth:
                raise _bad("json_depth", path[:4], f"is nested deeper than {limits.max_depth} levels")
            if isinstance(value, list):
                stack.extend((item, (*path, index)) for index, item in enumerate(value))
                continue
            if any("\x00" in key for key in value):
                raise _bad("json_nul", path, "has a key that contains the character \\u0000")
            stack.extend((item, (*path, key)) for key, item in value.items())


def _explain(raw: bytes, refused: orjson.JSONDecodeError) -> Problem:
    """Say which of the known poisons made the parser refuse; the parser's own words name only a place."""
    place = f"line {refused.lineno}, column {refused.colno}"
    if not raw.strip():
        return Problem(400, "not_json", "The body is empty; it must be JSON.")
    try:
        raw.decode()
    except UnicodeDecodeError:
        return Problem(400, "not_utf8", "The body is not valid UTF-8.")
    if "surrogate" in refused.msg:
        return Problem(400, "json_surrogate", f"A string holds half a surrogate pair ({place}).")
    if "depth" in refused.msg:
        return Problem(400, "json_depth", "The body is nested too deeply.")
    bare = _STRING.sub(b'""', raw)
    if _NOT_A_NUMBER.search(bare):
        return Problem(400, "json_nan", "NaN and Infinity are not JSON numbers.")
    if "number" in refused.msg and _LONG_NUMBER.search(bare):
        return Problem(400, "json_number", f"A number is too large ({place}).")
    return Problem(400, "not_json", f"The body is not JSON ({place}).")


def _inflate(raw: bytes, window: int, limits: BodyLimits) -> bytes:
    stream = zlib.decompressobj(window)
    try:
        data = stream.decompress(raw, limits.max_bytes + 1)
    except zlib.error:
        raise Problem(400, "bad_encoding", "The body does not unpack as its Content-Encoding says.") from None
    if len(data) > limits.max_bytes:
        raise _too_large(limits)
    if not stream.eof:
        raise Problem(400, "bad_encoding", "The packed body ends too early.")
    if stream.unused_data:
        raise Problem(400, "bad_encoding", "Something follows the packed body.")
    return data


def _headers(scope: Scope) -> tuple[str, int | None]:
    encoding, declared = "", None
    for name, value in scope["headers"]:
        if name == b"content-encoding":
            encoding = value.decode("latin-1").strip().lower()
        elif name == b"content-length" and value.isdigit() and len(value) < 20:
            declared = int(value)
    return encoding, declared


def _bad(code: str, path: tuple[str | int, ...], detail: str) -> Problem:
    errors = [{"pointer": json_pointer(path), "detail": detail}]
    return Problem(400, code, "The body holds a value that cannot be stored.", errors=errors)


def _too_large(limits: BodyLimits) -> Problem:
    return Problem(413, "body_too_large", f"The body is larger than {limits.max_bytes} bytes.")
