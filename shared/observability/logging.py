"""Structured logs: a constant event name and fields from an allow-list, so that no personal data slips in.

Fields are ids, counts, durations, names of our own. Exceptions are logged by type and place, not by text.
"""

import logging
import re
import sys
import traceback
from collections.abc import MutableMapping
from datetime import datetime
from types import TracebackType
from typing import Any, TextIO

import structlog

Event = MutableMapping[str, Any]

# Every other field is dropped and only its name is kept (`dropped`), so that a forgotten one is noticed.
_FIELDS = """
    actor age attempt attempts batch bus by check checks clock code count created cycle dead decision
    dependency direction due_at duplicates duration epoch events exit_code field file fix generation
    group held host kind lag level limit line lines member method missing mode model new offset old
    outcome part partition partitions path pending phase pid place policy port position process
    published queue reason records released removed restarts retry_after revision role roles route rows
    rung schema scope scopes seconds sent sequence service signal single_role size source spooled state
    states status step storage table target team topic topics total trigger type types unit version
    waiting where worker
"""
ALLOWED_FIELDS = frozenset(_FIELDS.split())
ALLOWED_SUFFIXES = (
    "_id",
    "_ids",
    "_count",
    "_ms",
    "_seconds",
    "_at",
    "_bytes",
    "_type",
    "_version",
    "_name_code",
)
OWN_FIELDS = frozenset({"timestamp", "level", "logger", "event", "exception", "dropped"})

_EMAIL = re.compile(r"[^\s\"'<>=:,;()\[\]]+@[^\s\"'<>=:,;()\[\]]+")
MAX_TEXT = 300


def configure_logging(level: str = "info", log_format: str = "json", stream: TextIO | None = None) -> None:
    """Set up structlog and the standard library's logging alike: one line per event on `stream` (stderr).

    `level`: debug, info, warning, error; `log_format`: `json` or `plain`. May be called again.
    """
    target = stream or sys.stderr
    number = logging.getLevelNamesMapping()[level.upper()]
    renderer: Any = structlog.processors.JSONRenderer()
    if log_format == "plain":
        renderer = structlog.dev.ConsoleRenderer(colors=False, pad_event_to=0)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            describe_exception,
            keep_allowed,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(target),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers = [_Bridge()]
    root.setLevel(max(number, logging.WARNING))


def bind(**fields: str | int) -> None:
    """Add ids to every further log line of this task, e.g. `bind(request_id=…, lead_id=…)`."""
    structlog.contextvars.bind_contextvars(**fields)


def keep_allowed(_logger: Any, _method: str, event: Event) -> Event:
    """Drop every field that is not on the allow-list and cut what looks like an e-mail from the rest."""
    dropped = [name for name in event if not _allowed(name)]
    for name in dropped:
        del event[name]
    for name, value in event.items():
        event[name] = _plain(value)
    if dropped:
        event["dropped"] = sorted(dropped)
    return event


def describe_exception(_logger: Any, _method: str, event: Event) -> Event:
    """Replace `exc_info` by the types and places of the exception chain; messages may quote a body."""
    info = event.pop("exc_info", None)
    if info is True:
        info = sys.exc_info()
    error = info[1] if isinstance(info, tuple) else info
    if isinstance(error, BaseException):
        event["exception"] = exception_chain(error)
    return event


def exception_chain(error: BaseException) -> list[str]:
    """Return `type at file:line in function` for an exception and what caused it, innermost frame first."""
    chain: list[str] = []
    current: BaseException | None = error
    while current is not None and len(chain) < 8:
        chain.append(
            f"{type(current).__module__}.{type(current).__qualname__}{_place(current.__traceback__)}"
        )
        current = current.__cause__ or current.__context__
    return chain


def _place(trace: TracebackType | None) -> str:
    frames = traceback.extract_tb(trace)[-3:][::-1]
    places = [f"{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno} in {frame.name}" for frame in frames]
    return " at " + " < ".join(places) if places else ""


def _allowed(name: str) -> bool:
    return name in OWN_FIELDS or name in ALLOWED_FIELDS or name.endswith(ALLOWED_SUFFIXES)


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in list(value)[:50]]
    return _EMAIL.sub("[redacted]", str(value))[:MAX_TEXT]


class _Bridge(logging.Handler):
    """Sends other libraries' records through the same processors: the first line of the bare message only."""

    def emit(self, record: logging.LogRecord) -> None:
        # Arguments are left out: they carry values, and a value may be anybody's.
        first = str(record.msg).splitlines()[0] if record.msg else ""
        error = record.exc_info[1] if record.exc_info else None
        logger = structlog.get_logger()
        log = getattr(logger, record.levelname.lower(), logger.error)
        log("library.log", code=first, source=record.name, exc_info=error)
