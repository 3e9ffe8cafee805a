"""Reading a parsed policy piece by piece: every fault becomes a finding, and reading goes on."""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from difflib import get_close_matches
from typing import Any

from shared.config_file import ConfigDocument, ConfigFinding, Path

_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_DURATION = re.compile(r"(\d+)\s*([smhdw])")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


def nearest(word: object, known: Collection[str]) -> str:
    """Return a fix that names the known word most like `word`, or lists what there is."""
    close = get_close_matches(str(word), list(known), n=1, cutoff=0.5)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"use one of: {', '.join(sorted(known)[:12])}" if known else "define it first"


@dataclass(slots=True)
class PolicyReader:
    """The document and what was found wrong with it so far. Values read wrong come back as harmless ones."""

    document: ConfigDocument
    findings: list[ConfigFinding] = field(default_factory=list)

    def fault(self, path: Path, message: str, fix: str, severity: str = "error") -> None:
        """Note a fault of the value at `path`."""
        self.findings.append(self.document.finding(path, message, fix, severity))

    def mapping(self, value: Any, path: Path, allowed: Collection[str] | None = None) -> dict[str, Any]:
        """Return a mapping with `allowed` keys (None: any); absent is empty."""
        if value is None:
            return {}
        if not isinstance(value, dict):
            self.fault(path, f"expected a mapping, found {value!r}", "write `key: value` lines below it")
            return {}
        known: dict[str, Any] = {}
        for key, item in value.items():
            if allowed is not None and key not in allowed:
                self.fault((*path, key), f"unknown key {key!r}", nearest(key, allowed))
            else:
                known[key] = item
        return known

    def entries(
        self, value: Any, path: Path, allowed: Collection[str]
    ) -> Iterator[tuple[str, Path, dict[str, Any]]]:
        """Yield (id, path, mapping) of a mapping of definitions."""
        for key, item in self.mapping(value, path).items():
            if not _ID.fullmatch(key):
                fix = "use up to 64 letters, digits, '_', '-' and '.'"
                self.fault((*path, key), f"{key!r} is no id", fix)
            yield key, (*path, key), self.mapping(item, (*path, key), allowed)

    def items(self, value: Any, path: Path) -> list[tuple[Path, Any]]:
        """Return a list with the path of each entry; absent is empty, a single value is a list of one."""
        if value is None:
            return []
        if not isinstance(value, list):
            return [(path, value)]
        return [((*path, at), item) for at, item in enumerate(value)]

    def text(self, value: Any, path: Path, default: str | None = None) -> str:
        """Return a text that is not empty; needed unless there is a default."""
        if value is None and default is not None:
            return default
        if isinstance(value, str) and value.strip():
            return value.strip()
        if value is None:
            self.fault(path, f"`{path[-1]}` is missing", f"add `{path[-1]}: ...`")
        else:
            fix = f'put it in quotes: "{value}"' if not isinstance(value, dict | list) else "write one text"
            self.fault(path, f"expected a text, found {value!r}", fix)
        return default or ""

    def texts(self, value: Any, path: Path) -> tuple[str, ...]:
        """Return a list of texts."""
        return tuple(self.text(item, at, "") for at, item in self.items(value, path))

    def count(self, value: Any, path: Path, *, low: int, high: int, default: int | None) -> int | None:
        """Return a whole number from `low` to `high`."""
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            fix = f"write a whole number from {low} to {high}"
            self.fault(path, f"expected a number, found {value!r}", fix)
            return default
        return value

    def flag(self, value: Any, path: Path, *, default: bool = False) -> bool:
        """Return true or false."""
        if value is None:
            return default
        if not isinstance(value, bool):
            self.fault(path, f"expected true or false, found {value!r}", "write true or false")
            return default
        return value

    def choice(self, value: Any, path: Path, allowed: Collection[str], default: str) -> str:
        """Return one of the allowed words."""
        if value is None:
            return default
        if value not in allowed:
            self.fault(path, f"unknown value {value!r}", nearest(value, allowed))
            return default
        return str(value)

    def reference(self, value: Any, path: Path, known: Collection[str], what: str) -> str:
        """Return the id of something defined elsewhere in the policy."""
        name = self.text(value, path)
        if name and name not in known:
            self.fault(path, f"there is no {what} {name!r}", nearest(name, known))
        return name

    def seconds(self, value: Any, path: Path, *, business: bool = False) -> int:
        """Return a duration such as `90s`, `30m`, `24h`, `1h 30m`, `90d` in seconds; 0 where it is wrong.

        `business`: days are refused, because a business day has no fixed length.
        """
        said = str(value).strip().lower() if isinstance(value, str | int) else ""
        parts = _DURATION.findall(said)
        if not parts or _DURATION.sub("", said).strip():
            self.fault(path, f"{value!r} is no duration", "write for instance 90s, 30m, 24h or 90d")
            return 0
        if business and any(unit in "dw" for _, unit in parts):
            self.fault(
                path,
                f"{value!r}: a clock on opening hours has no days",
                "write hours: three days of eight hours are 24h",
            )
        return sum(int(number) * _UNITS[unit] for number, unit in parts)

    def date(self, value: Any, path: Path) -> date | None:
        """Return a date."""
        try:
            if isinstance(value, date) and not isinstance(value, datetime):
                return value
            return date.fromisoformat(value)
        except (TypeError, ValueError):
            self.fault(path, f"{value!r} is no date", "write a date as 2026-12-24")
            return None

    def instant(self, value: Any, path: Path) -> datetime | None:
        """Return an instant with its offset."""
        try:
            at = value if isinstance(value, datetime) else datetime.fromisoformat(value)
        except (TypeError, ValueError):
            at = None
        if at is None:
            self.fault(path, f"{value!r} is no instant", "write it as 2026-12-24T09:00:00+01:00")
            return None
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at
