"""Parsed JSON brought to values that every later reader can take: no NUL, no lone surrogate, no infinity."""

import json
import math
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from services.ingest.domain.errors import Malformed, Unmappable

_INT64 = 2**63
_REPLACEMENT = "\ufffd"
# Every digit becomes 0, so that a number too long for 64 bits can be looked for as bytes.
_DIGITS = bytes.maketrans(b"123456789", b"000000000")
_LONG_NUMBER = b"0" * 19


@dataclass(frozen=True, slots=True)
class Shape:
    """How deep and how wide one item may be."""

    max_depth: int = 24
    max_values: int = 2000


def parse_leniently(text: bytes) -> Any:
    """Parse JSON that strict parsers refuse (lone surrogates, NaN, endless numbers), else raise Malformed."""
    if not text.strip():
        raise Malformed("the body is empty")
    try:
        return json.loads(
            text, parse_int=_integer, parse_float=_finite_or_none, parse_constant=lambda _: None
        )
    except json.JSONDecodeError as bad:
        raise Malformed(f"the body is not JSON (line {bad.lineno}, column {bad.colno})") from bad
    except UnicodeDecodeError as bad:
        raise Malformed("the body is not JSON: it is no text in UTF-8") from bad
    except RecursionError as bad:
        raise Malformed("the body is nested too deeply") from bad
    except ValueError as bad:
        raise Malformed("the body is not JSON") from bad


def kind_of(value: Any) -> str:
    """Return what parsed JSON is, in words for whoever sent it."""
    if value is None:
        return "null"
    kinds = {bool: "true or false", str: "a text", list: "a list", dict: "an object"}
    return kinds.get(type(value), "a number")


def _integer(digits: str) -> int | str:
    # Longer numbers are identifiers, if anything; int() refuses more than 4300 digits.
    return int(digits) if len(digits) <= 20 else digits


def _finite_or_none(digits: str) -> float | None:
    number = float(digits)
    return number if math.isfinite(number) else None


def surely_plain(spelled: bytes, shape: Shape) -> bool:
    """Return whether the JSON of a value shows that `plain` would leave it as it is; False: look closely.

    `spelled`: as the value is encoded, NUL and surrogates as escapes. Brackets and commas within texts count
    too, so the answer errs on the careful side only.
    """
    opened = spelled.count(b"{") + spelled.count(b"[")
    return (
        opened <= shape.max_depth
        and opened + spelled.count(b",") < shape.max_values
        and b"\\u" not in spelled
        and _LONG_NUMBER not in spelled.translate(_DIGITS)
        and b"Infinity" not in spelled
        and b"NaN" not in spelled
    )


def plain(value: Any, shape: Shape, *, pointer: str = "") -> Any:
    """Return `value` without what Postgres or JSON readers refuse; Unmappable when too deep or too wide."""
    return _Cleaner(shape, pointer).clean(value, 0)


class _Cleaner:
    def __init__(self, shape: Shape, pointer: str) -> None:
        self._shape = shape
        self._pointer = pointer
        self._left = shape.max_values

    def clean(self, value: Any, depth: int) -> Any:
        self._left -= 1
        if self._left < 0:
            raise Unmappable("too_many_values", "the item has too many keys and values", self._pointer)
        if isinstance(value, str):
            return plain_text(value)
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int):
            return value if -_INT64 <= value < _INT64 else str(value)
        if isinstance(value, float):
            return value if math.isfinite(value) else None
        return self._clean_container(value, depth)

    def _clean_container(self, value: Any, depth: int) -> Any:
        if depth >= self._shape.max_depth:
            raise Unmappable("too_deep", "the item is nested too deeply", self._pointer)
        if isinstance(value, dict):
            return {plain_text(str(key)): self.clean(item, depth + 1) for key, item in value.items()}
        return [self.clean(item, depth + 1) for item in value]


def plain_text(text: str) -> str:
    """Return `text` with NUL and lone surrogates replaced by U+FFFD."""
    if "\x00" in text:
        text = text.replace("\x00", _REPLACEMENT)
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def encoded(value: Any) -> bytes:
    """Return parsed JSON as bytes for keeping, whatever its strings hold."""
    try:
        return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()
    except RecursionError:
        return _encoded_deep(value)


def size_of(value: Any) -> int:
    """Return how many bytes parsed JSON takes in UTF-8, whatever its strings hold."""
    try:
        text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    except RecursionError:
        return len(_encoded_deep(value))
    return len(text.encode("utf-8", "surrogatepass"))


class _Token(str):
    """A piece of JSON that is written as it stands."""

    __slots__ = ()


def _encoded_deep(value: Any) -> bytes:
    """Return JSON of a value nested deeper than the interpreter's stack."""
    pieces: list[str] = []
    waiting: list[Any] = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, _Token):
            pieces.append(item)
        elif isinstance(item, dict):
            inner = [part for key in item for part in (_Token(","), _Token(json.dumps(key) + ":"), item[key])]
            waiting += [_Token("}"), *reversed(inner[1:]), _Token("{")]
        elif isinstance(item, list):
            inner = [part for element in item for part in (_Token(","), element)]
            waiting += [_Token("]"), *reversed(inner[1:]), _Token("[")]
        else:
            pieces.append(json.dumps(item))
    return "".join(pieces).encode()


def digest(value: Any) -> str:
    """Return the hex SHA-256 of a value, the same for every order of its keys."""
    return sha256(encoded(value)).hexdigest()


def text_or_none(value: Any) -> str | None:
    """Return an id or name as text: numbers as digits, blanks and anything else as None."""
    if isinstance(value, str):
        return plain_text(value.strip()) or None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return None
