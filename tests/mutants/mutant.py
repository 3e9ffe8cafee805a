"""A mutant: the source with one guard taken out. It is made in a copy; the product knows no switch for it."""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# What a check needs of the project: its packages, and the settings of pytest.
COPIED = ("deploy", "leadline", "services", "shared", "migrations", "tests", "pyproject.toml")


class SnippetNotFound(ValueError):
    """The source has changed: what a mutant replaces is not there exactly once."""


@dataclass(frozen=True, slots=True)
class Edit:
    """`find`, which stands exactly once in `file` (from the root), becomes `put`."""

    file: str
    find: str
    put: str

    def of(self, source: str) -> str:
        """Return the source without the guard; raise SnippetNotFound."""
        found = source.count(self.find)
        if found != 1:
            raise SnippetNotFound(f"{self.file} holds {found} times, not once: {self.find.strip()[:80]}")
        return source.replace(self.find, self.put)


@dataclass(frozen=True, slots=True)
class Mutant:
    """One guard taken out.

    `guard` says what it is for. `check`, a pytest node, must fail by an assertion of its own, for the reason
    that the pattern `says` names, so that it does not fail for something else.
    """

    name: str
    guard: str
    edits: Sequence[Edit]
    check: str
    says: str

    def sources(self) -> dict[str, str]:
        """Return the changed files by name; raise SnippetNotFound."""
        changed: dict[str, str] = {}
        for edit in self.edits:
            before = changed.get(edit.file) or (ROOT / edit.file).read_text(encoding="utf-8")
            changed[edit.file] = edit.of(before)
        return changed


@contextmanager
def copied_project(mutant: Mutant | None = None) -> Iterator[Path]:
    """Yield a folder with a copy of what checks need, with the mutant's changes; clear it away afterwards."""
    changed = mutant.sources() if mutant else {}
    with tempfile.TemporaryDirectory(prefix="leadline-mutant-") as folder:
        for name in COPIED:
            if (ROOT / name).is_dir():
                # Compiled files come along, for speed; they name the size and the second of their source.
                shutil.copytree(ROOT / name, Path(folder) / name)
            else:
                shutil.copy2(ROOT / name, Path(folder) / name)
        for file, text in changed.items():
            path = Path(folder) / file
            for compiled in path.parent.glob(f"__pycache__/{path.stem}.*"):
                compiled.unlink()
            path.write_text(text, encoding="utf-8")
        yield Path(folder)
