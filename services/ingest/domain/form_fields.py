"""The fields of a submission, found in whatever shape a form vendor gives them.

Known shapes: flat objects, nested objects, lists of answers with a label and a value, objects of
`{title, value}`, JSON inside a text field.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from services.ingest.domain.errors import Malformed
from services.ingest.domain.plain_values import parse_leniently

_LABELS = ("key", "id", "ref", "column_id", "label", "title", "question", "column_name", "fieldName", "name")
_VALUES = ("value", "string_value", "answer", "values", "text")
# Descriptions of a form rather than answers to it.
_PARTS_OF_ANSWERS = frozenset(
    {*_LABELS, *_VALUES, "type", "field", "options", "versions", "raw_value", "required", "position"}
)
_NOT_ANSWERS = frozenset({"definition", "schema", "options", "versions", "calculated"})
_JSON_FIELDS = ("rawRequest", ".json")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_NOT_WORD = re.compile(r"[\W_]+")
_NUMBERED = re.compile(r"^q\d+_")
_MAX_DEPTH = 12


@dataclass(frozen=True, slots=True)
class Field:
    """One value, the (normalised) names it answers to, its dotted path; `answer` where it had a label."""

    names: tuple[str, ...]
    path: str
    value: Any
    answer: bool = False


def normalised(name: str) -> str:
    """Return a field name in one spelling: `First Name`, `firstName` and `q3_first-name` are `first_name`."""
    spelled = _NOT_WORD.sub("_", _CAMEL.sub("_", name)).strip("_").lower()
    return _NUMBERED.sub("", spelled)


def find_fields(body: dict[str, Any]) -> list[Field]:
    """Return all fields of a submission: labelled answers first, then by depth."""
    found = list(_walk(body, ()))
    return sorted(found, key=lambda field: (not field.answer, field.path.count(".")))


def _walk(value: Any, path: tuple[str, ...], *, listed: bool = False) -> Iterator[Field]:
    if len(path) > _MAX_DEPTH:
        return
    if isinstance(value, dict):
        yield from _walk_object(value, path, listed=listed)
    elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
        for item in value:
            yield from _walk(item, path, listed=True)
    elif isinstance(value, str) and path and path[-1].endswith(_JSON_FIELDS):
        yield from _walk_text(value, path)
    else:
        yield Field(_names(path), ".".join(path), value)


def _walk_object(value: dict[str, Any], path: tuple[str, ...], *, listed: bool) -> Iterator[Field]:
    labels = _labels(value)
    answered, answer = _answer(value)
    if answered and path and (listed or "value" in value):
        # `{value: …}` outside a list is named by its key as well.
        names = labels if listed and labels else (normalised(path[-1]), *labels)
        yield Field(tuple(dict.fromkeys(names)), ".".join(path), answer, answer=True)
        return
    for key, item in value.items():
        if key not in _NOT_ANSWERS:
            yield from _walk(item, (*path, str(key)))


def _walk_text(value: str, path: tuple[str, ...]) -> Iterator[Field]:
    try:
        yield from _walk(parse_leniently(value.encode("utf-8", "surrogatepass")), path)
    except Malformed:
        yield Field(_names(path), ".".join(path), value)


def _names(path: tuple[str, ...]) -> tuple[str, ...]:
    leaf = normalised(path[-1]) if path else ""
    if len(path) < 2:
        return (leaf,)
    return (leaf, f"{normalised(path[-2])}_{leaf}")


def _labels(value: dict[str, Any]) -> tuple[str, ...]:
    about = value.get("field")
    sources = (about, value) if isinstance(about, dict) else (value,)
    found = (source.get(key) for source in sources for key in _LABELS)
    return tuple(dict.fromkeys(normalised(label) for label in found if isinstance(label, str) and label))


def _answer(value: dict[str, Any]) -> tuple[bool, Any]:
    kind = value.get("type")
    if not value.keys() <= _PARTS_OF_ANSWERS | ({kind} if isinstance(kind, str) else set()):
        return False, None
    if isinstance(kind, str) and kind in value and "field" in value:
        return True, _choice(value[kind])
    for key in _VALUES:
        if key in value:
            return True, _options(value, value[key])
    return False, None


def _choice(answer: Any) -> Any:
    if isinstance(answer, dict):
        return answer.get("labels") or answer.get("label") or answer.get("other")
    return answer


def _options(value: dict[str, Any], answer: Any) -> Any:
    """Return the texts of chosen options where the answer holds their ids."""
    options = value.get("options")
    if not isinstance(options, list) or not isinstance(answer, list):
        return answer
    texts = {option.get("id"): option.get("text") for option in options if isinstance(option, dict)}
    return [texts.get(item) or item if isinstance(item, str) else item for item in answer]
