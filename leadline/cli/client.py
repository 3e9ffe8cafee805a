"""Talking to a running Leadline over HTTP, found by options, environment or the local data directory."""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from leadline.cli.exit_codes import (
    BUG,
    CHECK_FAILED,
    CONFIG_INVALID,
    CONFLICT,
    NOT_ALLOWED,
    UNREACHABLE,
    CommandFailed,
)
from leadline.runtime_file import read_running

DEFAULT_URL = "http://127.0.0.1:8080"
TIMEOUT_SECONDS = 15.0
PROBLEM_MEMBERS = {"type", "title", "status", "detail", "instance", "code", "errors", "request_id"}
REFUSED_FILES = {"invalid_sources", "invalid_model", "invalid_policy"}
LEAD_ID_LENGTH = len("ld_") + 32


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer: status, and the body as JSON where it is JSON, else as text."""

    status: int
    body: Any


class ApiClient:
    """Calls one Leadline. Answers that are not 2xx become CommandFailed with the problem's own words."""

    def __init__(self, url: str, key: str, *, not_there: str = "leadline up") -> None:
        import httpx2

        self.url = url.rstrip("/")
        # What to try where nothing answers.
        self._not_there = not_there
        self.key = key
        self._http = httpx2.Client(
            base_url=self.url,
            timeout=TIMEOUT_SECONDS,
            headers={"authorization": f"Bearer {key}"} if key else {},
        )

    def __enter__(self) -> "ApiClient":
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def get(self, path: str, **parameters: Any) -> Any:
        """Return the JSON body of a GET; parameters that are None are left out."""
        given = {name: value for name, value in parameters.items() if value is not None}
        return self.call("GET", path, params=given).body

    def post(self, path: str, body: Any = None) -> Any:
        """Return the JSON body of a POST of JSON."""
        return self.call("POST", path, json=body if body is not None else {}).body

    def pages(self, path: str, **parameters: Any) -> Iterator[Any]:
        """Yield the items of all pages of a collection."""
        while True:
            page = self.get(path, **parameters)
            yield from page["data"]
            if not page.get("next"):
                return
            parameters["cursor"] = page["next"]

    def lead_id(self, lead: str) -> str:
        """Return the id of a lead named by its id, the beginning of its id, or its e-mail address."""
        if len(lead) == LEAD_ID_LENGTH and "@" not in lead:
            return lead
        page = self.get("/v1/leads", q=lead, anonymous=True)
        found = page["data"]
        if not found:
            raise CommandFailed(f"no lead has this {'e-mail address' if '@' in lead else 'id'}", CHECK_FAILED)
        if len(found) > 1:
            number = f"more than {len(found)}" if page.get("next") else len(found)
            raise CommandFailed(f"{lead} is not enough: {number} leads begin like this", CHECK_FAILED)
        return str(found[0]["lead_id"])

    def call(self, method: str, path: str, *, file: str | None = None, **request: Any) -> Answer:
        """Send one request; raise CommandFailed where Leadline is not there or says no.

        `file` is the name of what is sent, for its faults: Leadline sees the text alone.
        """
        import httpx2

        try:
            response = self._http.request(method, path, **request)
        except (httpx2.TransportError, httpx2.InvalidURL) as gone:
            raise CommandFailed(
                f"no Leadline answers at {self.url} ({type(gone).__name__})", UNREACHABLE, self._hint(gone)
            ) from gone
        body: Any = response.text
        with contextlib.suppress(ValueError):
            body = json.loads(response.content)
        if not response.is_success:
            raise refusal(response.status_code, body, file=file)
        return Answer(response.status_code, body)

    def _hint(self, gone: Exception) -> str:
        import httpx2

        if isinstance(gone, httpx2.InvalidURL | httpx2.UnsupportedProtocol):
            return f"--url {DEFAULT_URL} (scheme, host and port)"
        if self.url.startswith("https:") and not isinstance(gone, httpx2.TimeoutException):
            return f"--url http:{self.url[len('https:') :]} (Leadline itself speaks plain http)"
        return self._not_there


def refusal(status: int, body: Any, *, file: str | None = None) -> CommandFailed:
    """Return the failure that a problem+json answer stands for; faults with a line are told as of `file`."""
    problem = body if isinstance(body, dict) else {}
    message = problem.get("detail") or problem.get("title") or f"the answer was {status}"
    errors = [
        {**error, "file": file} if file and error.get("line") is not None else error
        for error in problem.get("errors") or []
    ]
    for error in errors:
        place = ":".join(str(error[name]) for name in ("file", "line") if error.get(name) is not None)
        where = place or error.get("pointer") or ""
        message += f"\n  {where + ': ' if where else ''}{error.get('detail') or error.get('message') or ''}"
        if error.get("fix"):
            message += f" ({error['fix']})"
    for name, value in problem.items():
        if name not in PROBLEM_MEMBERS:
            message += f"\n  {name}: {value if isinstance(value, str) else json.dumps(value)}"
    code, fix = _meaning(status, str(problem.get("code")))
    return CommandFailed(message, code, fix, errors=errors)


def _meaning(status: int, code: str) -> tuple[int, str]:
    if status in (401, 403):
        return NOT_ALLOWED, (
            "--data-dir of that Leadline (it keeps the keys), or --key with the needed scope"
            " (LEADLINE_DATA_DIR, LEADLINE_API_KEY)"
        )
    if status in (409, 412):
        return CONFLICT, ""
    if status == 422:
        return (CONFIG_INVALID if code in REFUSED_FILES else CHECK_FAILED), ""
    if status in (502, 503, 504):
        return UNREACHABLE, "leadline doctor"
    return (BUG, "leadline doctor") if status >= 500 else (CHECK_FAILED, "")


def connect(url: str | None, key: str | None, data_dir: Path, *, scope: str = "read") -> ApiClient:
    """Return a client for `--url` and `--key`; what is not given, the Leadline of `data_dir` has written."""
    running = read_running(data_dir) if not (url and key) else None
    found_url = url or (running.url if running else DEFAULT_URL)
    found_key = key or (running.keys.get(scope, "") if running and found_url == running.url else "")
    if url:
        not_there = "check --url (LEADLINE_URL), or leave it out and name the data directory: --data-dir DIR"
    elif running:
        not_there = f"leadline up --data-dir {data_dir} (it ran there last), or --data-dir of another one"
    else:
        not_there = (
            "leadline up, or name the one that runs elsewhere: --data-dir DIR (LEADLINE_DATA_DIR),"
            " or --url and --key"
        )
    return ApiClient(found_url, found_key, not_there=not_there)
