"""Logs hold ids and counts; a person's data does not get into them, however it is passed."""

import ast
import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

import shared
from shared.observability.logging import bind, configure_logging, keep_allowed

ROOT = Path(shared.__file__).parent.parent
LEVELS = ("debug", "info", "warning", "error", "exception", "critical")


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    configure_logging("info", "json", stream)
    yield stream
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    root.handlers, root.level = handlers, level


def last(stream: io.StringIO) -> dict[str, Any]:
    line: dict[str, Any] = json.loads(stream.getvalue().splitlines()[-1])
    return line


def test_an_event_has_its_name_fields_and_bound_ids(lines: io.StringIO) -> None:
    bind(request_id="abc", lead_id="ld_1")
    structlog.get_logger().info("lead.scored", revision=3, duration_ms=1.5)
    line = last(lines)
    assert line["event"] == "lead.scored"
    assert (line["lead_id"], line["revision"], line["duration_ms"]) == ("ld_1", 3, 1.5)
    assert line["level"] == "info"
    assert line["timestamp"].endswith("Z")


def test_a_field_that_is_not_on_the_list_is_dropped_by_name(lines: io.StringIO) -> None:
    structlog.get_logger().info(
        "form.received", email="anna@example.com", traits={"phone": "+4930123"}, count=1
    )
    line = last(lines)
    assert line["dropped"] == ["email", "traits"]
    assert line["count"] == 1
    assert "anna" not in lines.getvalue()
    assert "4930123" not in lines.getvalue()


def test_an_address_inside_an_allowed_field_is_cut_out(lines: io.StringIO) -> None:
    structlog.get_logger().info("form.parked", reason="no field for anna.maria+x@mail.example.com here")
    assert last(lines)["reason"] == "no field for [redacted] here"


def fail_twice() -> None:
    try:
        int("anna@example.com")
    except ValueError as inner:
        raise RuntimeError("body was: Anna Schmidt") from inner


def test_an_exception_is_logged_by_type_and_place_not_by_text(lines: io.StringIO) -> None:
    try:
        fail_twice()
    except RuntimeError:
        structlog.get_logger().exception("worker.failed")
    exception = last(lines)["exception"]
    assert exception[0].startswith("builtins.RuntimeError at test_logging.py:")
    assert exception[1].startswith("builtins.ValueError at test_logging.py:")
    assert "nna" not in lines.getvalue()


def test_other_libraries_log_their_bare_message_without_values(lines: io.StringIO) -> None:
    logging.getLogger("some.library").error("cannot send %s", "Anna Schmidt")
    try:
        int("Anna Schmidt")
    except ValueError:
        logging.getLogger("asyncio").exception("Task failed\ntask: <Task exception=ValueError('Anna')>")
    assert "Anna" not in lines.getvalue()
    line = last(lines)
    assert (line["event"], line["source"], line["code"]) == ("library.log", "asyncio", "Task failed")
    assert line["exception"][0].startswith("builtins.ValueError")


def test_levels_below_the_chosen_one_are_silent(lines: io.StringIO) -> None:
    structlog.get_logger().debug("too.small")
    assert lines.getvalue() == ""


def test_the_plain_format_is_one_line_without_colours(lines: io.StringIO) -> None:
    stream = io.StringIO()
    configure_logging("info", "plain", stream)
    structlog.get_logger().info("lead.scored", lead_id="ld_1")
    assert lines.getvalue() == ""
    (line,) = stream.getvalue().splitlines()
    assert "lead.scored" in line
    assert "\x1b" not in line


def fields_logged(file: Path) -> Iterator[tuple[int, str]]:
    """Yield line and name of every field that a file gives to its `log`."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in LEVELS
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id == "log"
        ):
            yield from (
                (node.lineno, word.arg) for word in node.keywords if word.arg and word.arg != "exc_info"
            )


def test_no_line_of_ours_loses_a_field() -> None:
    files = [file for name in ("shared", "services", "leadline") for file in (ROOT / name).rglob("*.py")]
    told = [(file, line, field) for file in files for line, field in fields_logged(file)]
    assert len(told) > 50
    lost = [one for one in told if "dropped" in keep_allowed(None, "info", {"event": "e", one[2]: 1})]
    assert lost == []
