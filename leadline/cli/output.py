"""Printing results: data on stdout, talk on stderr, JSON where asked for, colour only for a terminal."""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any


def show(value: Any, *, as_json: bool) -> None:
    """Print one result: JSON on one line, else aligned `name  value` lines."""
    if as_json:
        print_json(value)
        return
    for line in describe(value):
        print(line)


def print_json(value: Any) -> None:
    print(json.dumps(value, default=str, ensure_ascii=False), flush=True)


def describe(value: Any, indent: int = 0) -> list[str]:
    """Return a JSON-like value as indented, aligned lines of text."""
    pad = " " * indent
    if isinstance(value, Mapping):
        width = max((len(str(name)) for name in value), default=0)
        lines: list[str] = []
        for name, item in value.items():
            if isinstance(item, (Mapping, list, tuple)) and item:
                lines += [f"{pad}{name}", *describe(item, indent + 2)]
            else:
                lines.append(f"{pad}{name!s:<{width}}  {plain(item)}")
        return lines
    if isinstance(value, (list, tuple)):
        lines = []
        for item in value:
            if isinstance(item, Mapping):
                first, *rest = describe(item, indent + 2) or [pad + "  -"]
                lines += [f"{pad}- {first.strip()}", *rest]
            else:
                lines.append(f"{pad}- {plain(item)}")
        return lines
    return [pad + plain(value)]


def plain(value: Any) -> str:
    """Return one value as a person reads it."""
    if value is None or (isinstance(value, (Mapping, list, tuple)) and not value):
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Print rows as an aligned table with a heading; nothing but the heading where there are none."""
    cells = [[plain(row.get(column)) for column in columns] for row in rows]
    widths = [max(len(line[i]) for line in [list(columns), *cells]) for i in range(len(columns))]
    for line in [[column.upper() for column in columns], *cells]:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def talk(line: str) -> None:
    """Say something to the person at the terminal (stderr)."""
    print(line, file=sys.stderr, flush=True)


def coloured(text: str, code: str) -> str:
    """Return `text` in the ANSI colour `code` where stdout is a terminal and NO_COLOR is not set."""
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR"):
        return text
    return f"\x1b[{code}m{text}\x1b[0m"
