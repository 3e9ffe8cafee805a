"""The bytes of a form submission become plain data, by what they look like rather than by Content-Type."""

import re
from typing import Any
from urllib.parse import parse_qsl

from services.ingest.domain.errors import Malformed
from services.ingest.domain.plain_values import kind_of, parse_leniently

_MAX_PAIRS = 2000
_BOUNDARY = re.compile(rb"--([0-9A-Za-z'()+_,./:=? -]{1,200}?)[ \t]*\r?\n")
_PART_NAME = re.compile(r'[; ]name="((?:[^"\\]|\\.)*)"', re.IGNORECASE)
_PART_FILE = re.compile(r'filename="((?:[^"\\]|\\.)*)"', re.IGNORECASE)
_FIELD_LINE = re.compile(r"^([A-Za-z_][\w.\[\]-]{0,80})=(.*)$", re.DOTALL)
_BRACKETS = re.compile(r"\[([^\[\]]*)\]")

Pairs = list[tuple[str, Any]]


def read_body(raw: bytes) -> Any:
    """Return the submission as an object; raise Malformed where it is nothing that a form could send."""
    raw = raw.removeprefix(b"\xef\xbb\xbf")
    start = raw.lstrip()[:1]
    if not start:
        raise Malformed("the body is empty")
    if start in b"{[":
        return _single(parse_leniently(raw))
    if start == b"-" and (boundary := _BOUNDARY.match(raw.lstrip())):
        return nested(_multipart(raw, boundary.group(1)))
    return nested(_pairs(text_of(raw)))


def text_of(raw: bytes) -> str:
    """Return the text of bytes that are UTF-8, or what old forms send instead."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("cp1252", "replace")


def _single(parsed: Any) -> Any:
    if isinstance(parsed, list) and len(parsed) == 1:
        parsed = parsed[0]
    if isinstance(parsed, list) and len(parsed) > 1:
        raise Malformed("the body holds several submissions")
    if not parsed and isinstance(parsed, dict | list):
        raise Malformed("the body has no fields")
    if not isinstance(parsed, dict):
        raise Malformed(f"the body holds {kind_of(parsed)}, not an object")
    return parsed


def _pairs(text: str) -> Pairs:
    if "=" not in text:
        raise Malformed("the body has no fields")
    if "\n" in text.strip():
        return _plain_lines(text)
    try:
        return list(parse_qsl(text.strip(), keep_blank_values=True, max_num_fields=_MAX_PAIRS))
    except ValueError as bad:
        raise Malformed("the body has too many fields") from bad


def _plain_lines(text: str) -> Pairs:
    """Read `enctype=text/plain`: a line that names no field goes on with the value before it."""
    pairs: Pairs = []
    for line in text.replace("\r\n", "\n").rstrip("\n").split("\n"):
        if found := _FIELD_LINE.match(line):
            pairs.append((found.group(1), found.group(2)))
        elif pairs:
            pairs[-1] = (pairs[-1][0], f"{pairs[-1][1]}\n{line}")
    if not pairs or len(pairs) > _MAX_PAIRS:
        raise Malformed("the body has no fields, or too many")
    return pairs


def _multipart(raw: bytes, boundary: bytes) -> Pairs:
    pairs: Pairs = []
    for part in (b"\r\n" + raw.lstrip()).split(b"\r\n--" + boundary)[1:_MAX_PAIRS]:
        if part.startswith(b"--"):
            break
        head, separator, content = part.partition(b"\r\n\r\n")
        name = _PART_NAME.search(text_of(head))
        if not separator or name is None:
            continue
        file = _PART_FILE.search(text_of(head))
        if file is None:
            pairs.append((_unquoted(name.group(1)), text_of(content)))
        elif file.group(1):
            # The file itself stays in the receipt.
            pairs.append((_unquoted(name.group(1)), {"file": _unquoted(file.group(1))}))
    if not pairs:
        raise Malformed("the multipart body has no fields")
    return pairs


def _unquoted(name: str) -> str:
    return name.replace("%22", '"').replace("%0D%0A", "\r\n").replace('\\"', '"')


def nested(pairs: Pairs) -> dict[str, Any]:
    """Return pairs as an object: repeated keys become lists, `a[b][c]` objects, `a[]` lists."""
    result: dict[str, Any] = {}
    for name, value in pairs:
        first, *rest = _steps(name)
        _put(result, first, rest, value)
    return result


def _steps(name: str) -> list[str]:
    head, bracket, _ = name.partition("[")
    if not bracket or not head or not name.endswith("]"):
        return [name]
    return [head, *_BRACKETS.findall(name[len(head) :])[:8]]


def _put(target: dict[str, Any], key: str, rest: list[str], value: Any) -> None:
    if rest == [""] or not rest:
        _add(target, key, value, many=bool(rest))
        return
    inner = target.setdefault(key, {})
    if isinstance(inner, dict):
        _put(inner, rest[0], rest[1:], value)
    else:
        # The name is used both as a field and as a group: keep both values.
        _add(target, "[".join((key, *rest)), value, many=False)


def _add(target: dict[str, Any], key: str, value: Any, *, many: bool) -> None:
    if key not in target:
        target[key] = [value] if many else value
    elif isinstance(target[key], list):
        target[key].append(value)
    else:
        target[key] = [target[key], value]
