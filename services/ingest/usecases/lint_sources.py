"""Checks the sources file and turns it into sources; every finding names file, line and fix."""

import re
from collections.abc import Callable
from datetime import timedelta
from difflib import get_close_matches
from typing import Any
from urllib.parse import urlsplit

from services.ingest.domain.form_fields import normalised
from services.ingest.domain.source import Source, Sources
from shared.config_file import ConfigDocument, ConfigFinding
from shared.config_file import Path as ConfigPath

SOURCE_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_DURATION = re.compile(r"(\d{1,6})\s*([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_NAME_LISTS = (
    "email", "phone", "anonymous_id", "user_id", "form", "page_url", "idempotency_key", "occurred_at",
    "honeypot", "test", "secrets", "ignore",
)  # fmt: skip
_KEYS = (
    *_NAME_LISTS, "title", "traits", "constants", "guess_email", "require_key", "region", "thank_you_url",
    "allowed_origins", "double_submit_window",
)  # fmt: skip
_LONGEST_WINDOW = timedelta(days=30)


def lint(document: ConfigDocument, *, version: str = "") -> Sources | list[ConfigFinding]:
    """Return the sources of a file, or what is wrong with it."""
    linter = _Linter(document)
    sources = linter.read()
    errors = [finding for finding in linter.findings if finding.severity == "error"]
    return errors or Sources(version=version, by_name={source.name: source for source in sources})


class _Linter:
    def __init__(self, document: ConfigDocument) -> None:
        self._document = document
        self.findings: list[ConfigFinding] = []

    def read(self) -> list[Source]:
        data = self._document.data
        if not isinstance(data, dict):
            self._fault((), "the file is not a mapping", "start it with `version: 1` and `sources:`")
            return []
        self._unknown((), data, ("version", "sources"))
        if data.get("version") != 1:
            self._fault(("version",), "version is not 1", "write `version: 1`")
        sources = data.get("sources")
        if not isinstance(sources, dict) or not sources:
            self._fault(
                ("sources",), "there are no sources", "add one, e.g. `website:` with `email: [email]`"
            )
            return []
        return [self._source(str(name), entry) for name, entry in sources.items()]

    def _source(self, name: str, entry: Any) -> Source:
        path: ConfigPath = ("sources", name)
        if not SOURCE_NAME.fullmatch(name):
            self._fault(path, f"{name!r} cannot be part of an address", "use a-z, 0-9, - and _, 64 at most")
        if not isinstance(entry, dict):
            self._fault(path, "the source is not a mapping", "list its fields, e.g. `email: [email]`")
            return Source(name)
        self._unknown(path, entry, _KEYS)
        names = {key: self._names((*path, key), entry.get(key)) for key in _NAME_LISTS}
        if not (names["email"] or names["phone"] or names["anonymous_id"] or entry.get("guess_email")):
            self._fault(path, "no field says who it is", "name the field of the e-mail: `email: [email]`")
        return Source(
            name=name,
            title=str(entry.get("title") or name),
            traits=self._traits((*path, "traits"), entry.get("traits")),
            constants=self._constants((*path, "constants"), entry.get("constants")),
            guess_email=self._flag((*path, "guess_email"), entry.get("guess_email")),
            require_key=self._flag((*path, "require_key"), entry.get("require_key")),
            region=self._region((*path, "region"), entry.get("region")),
            thank_you_url=self._url((*path, "thank_you_url"), entry.get("thank_you_url")),
            allowed_origins=self._origins((*path, "allowed_origins"), entry.get("allowed_origins")),
            double_submit_window=self._window(
                (*path, "double_submit_window"), entry.get("double_submit_window", "10m")
            ),
            **names,
        )

    def _names(self, path: ConfigPath, value: Any) -> tuple[str, ...]:
        if value is None:
            return ()
        listed = [value] if isinstance(value, str) else value
        if not isinstance(listed, list) or not all(isinstance(name, str) and name for name in listed):
            self._fault(path, "this is not a list of field names", "write e.g. `[email, work_email]`")
            return ()
        return tuple(name if "." in name else _field_name(name) for name in listed)

    def _traits(self, path: ConfigPath, value: Any) -> dict[str, tuple[str, ...]]:
        if value is None:
            return {}
        if not isinstance(value, dict):
            self._fault(path, "traits is not a mapping", "write e.g. `first_name: [first_name, firstname]`")
            return {}
        return {str(trait): self._names((*path, str(trait)), names) for trait, names in value.items()}

    def _constants(self, path: ConfigPath, value: Any) -> dict[str, str]:
        if value is None:
            return {}
        if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
            self._fault(path, "constants is not a mapping of texts", "write e.g. `lead_source: fair`")
            return {}
        return {str(name): item for name, item in value.items()}

    def _flag(self, path: ConfigPath, value: Any) -> bool:
        return bool(
            self._checked(path, value, False, lambda flag: isinstance(flag, bool), "write true or false")
        )

    def _region(self, path: ConfigPath, value: Any) -> str | None:
        def known(code: Any) -> bool:
            return isinstance(code, str) and re.fullmatch(r"[A-Z]{2}", code) is not None

        found: str | None = self._checked(path, value, None, known, "write a country code such as `DE`")
        return found

    def _url(self, path: ConfigPath, value: Any) -> str | None:
        def usable(url: Any) -> bool:
            if not isinstance(url, str) or any(ord(char) <= 32 or ord(char) > 126 for char in url):
                return False
            parts = urlsplit(url)
            inside = url.startswith("/") and not url.startswith(("//", "/\\"))
            return inside or (parts.scheme in {"http", "https"} and bool(parts.netloc))

        found: str | None = self._checked(
            path, value, None, usable, "write `https://…` or a path that starts with one `/`"
        )
        return found

    def _origins(self, path: ConfigPath, value: Any) -> tuple[str, ...]:
        if value is None:
            return ()
        if not isinstance(value, list) or not all(
            re.fullmatch(r"https?://[^/\s]+", str(item)) for item in value
        ):
            self._fault(path, "this is not a list of origins", "write e.g. `[https://www.example.com]`")
            return ()
        return tuple(value)

    def _window(self, path: ConfigPath, value: Any) -> timedelta:
        found = _DURATION.fullmatch(value) if isinstance(value, str) else None
        window = timedelta(**{_UNITS[found.group(2)]: int(found.group(1))}) if found else None
        if window is None or window > _LONGEST_WINDOW:
            self._fault(path, "this is no time up to 30 days", "write e.g. `30s`, `10m`, `2h` or `1d`")
            return timedelta(minutes=10)
        return window

    def _checked(
        self, path: ConfigPath, value: Any, default: Any, check: Callable[[Any], bool], fix: str
    ) -> Any:
        if value is None or check(value):
            return default if value is None else value
        self._fault(path, "the value cannot be used", fix)
        return default

    def _unknown(self, path: ConfigPath, entry: dict[Any, Any], known: tuple[str, ...]) -> None:
        for key in entry:
            if key not in known:
                close = get_close_matches(str(key), known, 1)
                fix = f"did you mean `{close[0]}`?" if close else f"known are: {', '.join(known)}"
                self._fault((*path, key), f"{key!r} is not known here", fix)

    def _fault(self, path: ConfigPath, message: str, fix: str) -> None:
        self.findings.append(self._document.finding(path, message, fix))


def _field_name(name: str) -> str:
    # A leading underscore is part of how honeypots are written; the fields are compared without it.
    return normalised(name)
