"""Errors on the wire: RFC 9457 problem+json for every one of them, with a stable `code`, naming the field.

Raise `Problem` in handlers, dependencies and hot paths alike; `install_handlers` and `dispatch` turn the rest
into one. A problem quotes no stored data and no exception text.
"""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, TypedDict

import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Send

from shared.db.errors import RETRY_AFTER_SECONDS, is_bad_value, is_transient
from shared.web.json_bytes import json_bytes

log = structlog.get_logger()

MEDIA_TYPE = "application/problem+json"


class FieldError(TypedDict, total=False):
    """One fault of a request: JSON pointer into the body (or the parameter's name), and what is wrong.

    `in`: body, query, path, header or cookie; absent means body. `line`, `fix`: for configuration files.
    """

    pointer: str
    detail: str
    line: int
    fix: str


class Problem(Exception):
    """An answer that is an error: `Problem(409, "handoff_closed", "…", errors=[{pointer, detail}])`.

    `code` is stable and for programs, `detail` for people. `extra` adds members beside RFC 9457's (a
    successor, the legal moves), `headers` adds response headers.
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str = "",
        *,
        errors: Sequence[FieldError | Mapping[str, Any]] = (),
        extra: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(f"{status} {code}")
        self.status = status
        self.code = code
        self.detail = detail
        self.errors = list(errors)
        self.extra = dict(extra or {})
        self.headers = dict(headers or {})

    def body(self, request_id: str | None = None) -> bytes:
        """Return the JSON document."""
        document: dict[str, Any] = {
            "type": f"urn:leadline:problem:{self.code}",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "code": self.code,
        }
        if self.detail:
            document["detail"] = self.detail
        if self.errors:
            document["errors"] = self.errors
        if request_id:
            document["request_id"] = request_id
        return json_bytes({**self.extra, **document})


def unavailable(code: str, detail: str) -> Problem:
    """Return the 503 of a dependency that is down; every SDK and form vendor tries again after it."""
    return Problem(503, code, detail, headers={"retry-after": str(RETRY_AFTER_SECONDS)})


def invalid_field(pointer: str, detail: str, *, code: str = "invalid_field") -> Problem:
    """Return the 422 of one field."""
    return Problem(
        422, code, "The request has a field that cannot be used.", errors=[_field(pointer, detail)]
    )


def problem_response(problem: Problem, request_id: str | None = None) -> Response:
    """Return the problem as a Starlette response."""
    return Response(
        problem.body(request_id), status_code=problem.status, media_type=MEDIA_TYPE, headers=problem.headers
    )


async def send_problem(send: Send, problem: Problem, request_id: str | None = None) -> None:
    """Send the problem from a hot (pure ASGI) path."""
    body = problem.body(request_id)
    headers = [(b"content-type", MEDIA_TYPE.encode()), (b"content-length", str(len(body)).encode())]
    headers += [(name.lower().encode(), value.encode()) for name, value in problem.headers.items()]
    await send({"type": "http.response.start", "status": problem.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def problem_of(error: BaseException) -> Problem:
    """Return the problem that stands for any exception; unknown ones are a 500 without details."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, HTTPException):
        return _of_http(error)
    if isinstance(error, RequestValidationError):
        return _of_validation(error)
    if is_transient(error):
        return unavailable("database_unavailable", "The database cannot be reached or is busy. Try again.")
    if is_bad_value(error):
        return Problem(422, "invalid_value", "A value is out of range or not of its type.")
    return Problem(500, "internal_error", "An unexpected fault. The log has it under this request id.")


def install_handlers(app: FastAPI) -> None:
    """Make every error of a FastAPI application a problem."""
    for kind in (Problem, HTTPException, RequestValidationError, Exception):
        app.add_exception_handler(kind, _handle)


async def _handle(request: Request, error: Exception) -> Response:
    problem = problem_of(error)
    if problem.status >= 500 and not isinstance(error, Problem):
        log.error("http.failed", status=problem.status, code=problem.code, exc_info=error)
    return problem_response(problem, request.scope.get("leadline.request_id"))


_CODES = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    406: "not_acceptable",
    408: "request_timeout",
    409: "conflict",
    413: "body_too_large",
    415: "unsupported_media_type",
    429: "too_many_requests",
    503: "unavailable",
}


def _of_http(error: HTTPException) -> Problem:
    phrase = HTTPStatus(error.status_code).phrase
    detail = error.detail if isinstance(error.detail, str) and error.detail != phrase else ""
    code = _CODES.get(error.status_code, "http_error")
    return Problem(error.status_code, code, detail, headers=error.headers)


def unsupported_header(name: str, code: str, detail: str) -> Problem:
    """Return the 415 of a header that says how the body is written; `detail` says what it must be."""
    error = {**_field(json_pointer([name.lower()]), detail), "in": "header"}
    return Problem(415, code, f"{name} {detail}.", errors=[error])


def _of_validation(error: RequestValidationError) -> Problem:
    if any(item["loc"] == ("body",) and isinstance(item["input"], bytes) for item in error.errors()):
        # FastAPI reads a body as JSON only where this header says so; else it calls its bytes no object.
        return unsupported_header("Content-Type", _CODES[415], "must be application/json")
    errors = [_of_location(item["loc"], item["msg"]) for item in error.errors()]
    return Problem(422, "invalid_request", "The request has fields that cannot be used.", errors=errors)


def _of_location(location: Sequence[str | int], message: str) -> Mapping[str, Any]:
    place, *path = location or ("body",)
    # A pydantic message says what was expected, never what was sent (that is `input`, left out here).
    return {**_field(json_pointer(path), message), "in": str(place)}


def _field(pointer: str, detail: str) -> FieldError:
    return {"pointer": pointer, "detail": detail}


def json_pointer(path: Sequence[str | int]) -> str:
    """Return the RFC 6901 pointer of a path of keys and indexes; the root is ''."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)
