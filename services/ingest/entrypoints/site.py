"""The site that ships with the source `website`: it shows tracking and the form at work."""

from dataclasses import dataclass
from functools import cache
from html import escape
from pathlib import Path

from starlette.types import Scope, Send

from services.ingest.entrypoints.answer import HTML, Answer, not_allowed, problem, see_other, send_answer
from services.ingest.entrypoints.request import Head

_FILES = Path(__file__).parent / "site_files"
_HOME = "/site/website"
_PAGES = {
    _HOME: "home.html",
    f"{_HOME}/pricing": "pricing.html",
    f"{_HOME}/demo": "demo.html",
    f"{_HOME}/thanks": "thanks.html",
}
_ASSETS = {
    f"{_HOME}/tracking.js": ("tracking.js", b"text/javascript; charset=utf-8"),
    f"{_HOME}/style.css": ("style.css", b"text/css; charset=utf-8"),
}
# Nothing from elsewhere, nothing inline, no frame around it.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
    " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_GUARDS = [
    (b"content-security-policy", _POLICY.encode()),
    (b"referrer-policy", b"same-origin"),
]


@dataclass(frozen=True, slots=True)
class Site:
    """Serves the pages. Without a write key they still post the form, but send no page views."""

    write_key: str | None

    async def __call__(self, path: str, scope: Scope, send: Send) -> None:
        """Answer one request under /site."""
        head = Head.of(scope)
        await send_answer(self._answer(path, scope["method"]), head, send)

    def _answer(self, path: str, method: str) -> Answer:
        if method not in {"GET", "HEAD"}:
            return not_allowed("GET")
        if path == "/site":
            return see_other(_HOME)
        if path in _ASSETS:
            name, content_type = _ASSETS[path]
            return Answer(200, _read(name).encode(), content_type, _GUARDS)
        if path in _PAGES:
            page = _read("frame.html").replace("{{page}}", _read(_PAGES[path]))
            page = page.replace("{{write_key}}", escape(self.write_key or "", quote=True))
            return Answer(200, page.encode(), HTML, _GUARDS)
        return problem(404, "no_such_page", "the site has no such page")


@cache
def _read(name: str) -> str:
    return (_FILES / name).read_text(encoding="utf-8")
