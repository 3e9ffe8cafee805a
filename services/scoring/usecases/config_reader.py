"""Reading a parsed configuration piece by piece: every fault becomes a finding, and reading goes on."""

from collections.abc import Collection
from dataclasses import dataclass, field
from decimal import Decimal
from difflib import get_close_matches
from typing import Any

from services.scoring.domain.model import MILLI
from shared.config_file import ConfigDocument, ConfigFinding, Path

_MAX_POINTS = 1000
_MAX_ID = 64


@dataclass(slots=True)
class ConfigReader:
    """The document and what was found wrong with it so far."""

    document: ConfigDocument
    findings: list[ConfigFinding] = field(default_factory=list)

    def fault(self, path: Path, message: str, fix: str) -> None:
        """Note a fault of the value at `path`."""
        self.findings.append(self.document.finding(path, message, fix))

    def mapping(
        self, value: Any, path: Path, allowed: Collection[str], needed: Collection[str] = ()
    ) -> dict[str, Any]:
        """Return a mapping, noting keys that are unknown or missing; an empty one where it is none."""
        if not isinstance(value, dict):
            self.fault(
                path, f"expected a mapping, found {kind_of(value)}", f"write {', '.join(allowed)} below it"
            )
            return {}
        for key in value:
            if key not in allowed:
                near = get_close_matches(str(key), allowed, n=1)
                fix = f"did you mean {near[0]!r}?" if near else f"use one of: {', '.join(allowed)}"
                self.fault((*path, key), f"unknown key {key!r}", fix)
        for key in needed:
            if key not in value:
                self.fault(path, f"{key!r} is missing", f"add {key!r}")
        return {key: item for key, item in value.items() if key in allowed}

    def items(self, value: Any, path: Path) -> list[Any]:
        """Return a list; what is none is a fault, what is absent is empty."""
        if value is None:
            return []
        if not isinstance(value, list):
            self.fault(
                path, f"expected a list, found {kind_of(value)}", "write one entry per line, after '- '"
            )
            return []
        return value

    def text(self, value: Any, path: Path, default: str = "") -> str:
        """Return a text that is not empty."""
        if value is None and default:
            return default
        if not isinstance(value, str) or not value.strip():
            self.fault(
                path,
                f"expected a text, found {kind_of(value)}",
                "write a text; quote it if it looks like a number",
            )
            return default or "?"
        return value.strip()

    def texts(self, value: Any, path: Path) -> tuple[str, ...]:
        """Return a list of texts; a single text is a list of one."""
        entries = [value] if isinstance(value, str) else self.items(value, path)
        return tuple(self.text(entry, (*path, at)) for at, entry in enumerate(entries))

    def name(self, value: Any, path: Path) -> str:
        """Return an id: letters, digits, `_` and `-`."""
        name = self.text(value, path)
        if len(name) > _MAX_ID or not name.replace("_", "").replace("-", "").isalnum():
            self.fault(path, f"{name!r} is no id", f"use up to {_MAX_ID} letters, digits, '_' and '-'")
        return name

    def whole(self, value: Any, path: Path, *, least: int, most: int, default: int) -> int:
        """Return a whole number within bounds."""
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            message = f"expected a whole number from {least} to {most}, found {value!r}"
            self.fault(path, message, f"write a number such as {default}")
            return default
        return value

    def points(self, value: Any, path: Path, *, least: int = -_MAX_POINTS, most: int = _MAX_POINTS) -> int:
        """Return points (at most three decimals) in milli-points."""
        fix = f"write a number from {least} to {most}, such as 10 or 2.5"
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.fault(path, f"expected points, found {kind_of(value)}", fix)
            return 0
        milli = Decimal(str(value)) * MILLI
        if not milli.is_finite() or milli != milli.to_integral_value() or not least <= value <= most:
            self.fault(path, f"{value!r} points are out of range or have more than three decimals", fix)
            return 0
        return int(milli)

    def flag(self, value: Any, path: Path) -> bool:
        """Return a truth value; absent is false."""
        if value is not None and not isinstance(value, bool):
            self.fault(path, f"expected true or false, found {kind_of(value)}", "write true or false")
        return value is True

    def one_of(self, value: Any, path: Path, choices: Collection[str], default: str) -> str:
        """Return one of the choices."""
        if value is None:
            return default
        if value not in choices:
            self.fault(path, f"unknown value {value!r}", f"use one of: {', '.join(choices)}")
            return default
        return str(value)


def kind_of(value: Any) -> str:
    """Say in plain words what a YAML value is."""
    if value is None:
        return "nothing"
    names = {bool: "true/false", int: "a number", float: "a number", str: "a text", list: "a list"}
    return names.get(type(value), "a mapping" if isinstance(value, dict) else type(value).__name__)
