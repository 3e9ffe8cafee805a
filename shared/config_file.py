"""Reading YAML configuration with the line of every value, so that a finding can name file, line and fix."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

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
    """Parse YAML safely; raise ConfigError with the line where it is not YAML or repeats a key."""
    raise NotImplementedError  # written by the platform slice
