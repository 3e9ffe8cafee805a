"""Reading YAML configuration with the line of every value, so that a finding can name file, line and fix."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

# A model or policy of a large company is some thousands of lines; more is an accident or an attack.
MAX_CHARACTERS = 300_000
MAX_VALUES = 100_000
MAX_DEPTH = 40

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True, order=True)
class ConfigFinding:
    """One fault in a configuration file: where it is, what is wrong, how to mend it."""

    file: str
    line: int
    path: str
    message: str
    fix: str
    severity: str = "error"


class ConfigError(ValueError):
    """A configuration was refused; `findings` says why."""

    def __init__(self, findings: list[ConfigFinding]) -> None:
        super().__init__("; ".join(f"{f.file}:{f.line}: {f.message}" for f in findings))
        self.findings = findings


@dataclass(frozen=True, slots=True)
class ConfigDocument:
    """A parsed file: plain data, and the line (1-based) on which the value at each path starts."""

    file: str
    data: Any
    lines: Mapping[Path, int]

    def line_of(self, path: Path) -> int:
        """Return the line of the nearest value at or above `path`."""
        while path not in self.lines and path:
            path = path[:-1]
        return self.lines.get(path, 1)

    def finding(self, path: Path, message: str, fix: str, severity: str = "error") -> ConfigFinding:
        """Return a finding that points at the value at `path`."""
        dotted = ".".join(str(part) for part in path)
        return ConfigFinding(self.file, self.line_of(path), dotted, message, fix, severity)


def parse(text: str, *, file: str) -> ConfigDocument:
    """Parse YAML safely; raise ConfigError with the line where it is not YAML or repeats a key.

    Data is YAML 1.2's: mappings with text keys, lists, text, numbers, true and false, null; and dates. `NO`
    and `9:00`, which YAML 1.1 takes for false and 540, stay text.
    """
    refuse = _Refusal(file)
    if len(text) > MAX_CHARACTERS:
        raise refuse.at(
            1, f"the file is longer than {MAX_CHARACTERS} characters", "split it or leave things out"
        )
    loader: _Loader | None = None
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
        if root is None:
            return ConfigDocument(file, None, {(): 1})
        return _Reader(loader, refuse).read(root)
    except yaml.MarkedYAMLError as fault:
        mark = fault.problem_mark or fault.context_mark
        line = mark.line + 1 if mark else 1
        raise refuse.at(
            line, f"this is not YAML: {fault.problem}", "mind indentation, quotes and colons"
        ) from None
    except yaml.reader.ReaderError as fault:
        line = text.count("\n", 0, fault.position) + 1
        raise refuse.at(line, "the file holds a character that YAML does not allow", "remove it") from None
    except RecursionError:
        raise refuse.at(1, "the file is nested too deeply", f"use at most {MAX_DEPTH} levels") from None
    finally:
        if loader is not None:
            loader.dispose()


class _Loader(yaml.SafeLoader):
    """YAML 1.2's core types and dates: a country or an opening hour is not taken for something else."""


_Loader.yaml_implicit_resolvers = {}


_PLAIN_TYPES = (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("null", r"~|null|Null|NULL|", "~nN\0"),
    ("int", r"[-+]?(?:0|[1-9][0-9]*)", "-+0123456789"),
    (
        "float",
        r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[-+]?[0-9]+[eE][-+]?[0-9]+",
        "-+.0123456789",
    ),
    ("timestamp", r"[0-9]{4}-[0-9]{2}-[0-9]{2}", "0123456789"),
)
for _name, _pattern, _first in _PLAIN_TYPES:
    _tag = f"tag:yaml.org,2002:{_name}"
    _starts = [char if char != "\0" else "" for char in _first]
    _Loader.add_implicit_resolver(_tag, re.compile(f"(?:{_pattern})$"), _starts)


class _Refusal:
    def __init__(self, file: str) -> None:
        self.file = file

    def at(self, line: int, message: str, fix: str, path: Path = ()) -> ConfigError:
        dotted = ".".join(str(part) for part in path)
        return ConfigError([ConfigFinding(self.file, line, dotted, message, fix)])


class _Reader:
    """Turns YAML nodes into plain data, noting the line of each value."""

    def __init__(self, loader: _Loader, refuse: _Refusal) -> None:
        self._loader = loader
        self._refuse = refuse
        self._lines: dict[Path, int] = {}

    def read(self, root: yaml.Node) -> ConfigDocument:
        data = self._value(root, ())
        return ConfigDocument(self._refuse.file, data, self._lines)

    def _value(self, node: yaml.Node, path: Path) -> Any:
        if len(self._lines) >= MAX_VALUES:
            # Aliases repeat what they point at: a few lines of them can stand for billions of values.
            raise self._refuse.at(
                _line(node), f"more than {MAX_VALUES} values", "use fewer aliases (*name)", path
            )
        if len(path) > MAX_DEPTH:
            raise self._refuse.at(
                _line(node), "nested too deeply", f"use at most {MAX_DEPTH} levels", path[:4]
            )
        self._lines[path] = _line(node)
        if not node.tag.startswith("tag:yaml.org,2002:") or ":python" in node.tag:
            raise self._refuse.at(_line(node), "a tag (!name) is not supported", "remove the tag", path)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self._value(item, (*path, index)) for index, item in enumerate(node.value)]
        return self._scalar(node, path)

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = self._key(key_node, path)
            if key in found:
                first = self._lines[(*path, key)]
                raise self._refuse.at(
                    _line(key_node),
                    f"the key {key!r} is given twice (first on line {first})",
                    "keep one of them",
                    (*path, key),
                )
            found[key] = self._value(value_node, (*path, key))
            self._lines[(*path, key)] = _line(key_node)
        return found

    def _key(self, node: yaml.Node, path: Path) -> str:
        if not isinstance(node, yaml.ScalarNode) or node.value == "<<":
            raise self._refuse.at(_line(node), "this key is not plain text", "use a word as key", path)
        # As written: `on:` and `no:` stay words, though YAML 1.1 reads them as booleans.
        return str(node.value)

    def _scalar(self, node: yaml.Node, path: Path) -> Any:
        try:
            value = self._loader.construct_object(node, deep=True)
        except (ValueError, OverflowError):
            raise self._refuse.at(
                _line(node), "this value cannot be read", "quote it, or correct it", path
            ) from None
        if isinstance(value, float) and not math.isfinite(value):
            raise self._refuse.at(_line(node), "not a finite number", "give a number", path)
        if isinstance(value, str) and "\x00" in value:
            raise self._refuse.at(_line(node), "the text contains the character NUL", "remove it", path)
        return value


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
