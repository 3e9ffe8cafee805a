"""One request and its answer: request id, deadline, errors caught, time and status counted."""

import asyncio
import random
import re
import time
from functools import lru_cache
from typing import Any

import structlog
from prometheus_client import Counter, Histogram
from starlette.types import ASGIApp, Receive, Scope, Send

from shared.observability.metrics import HTTP_REQUESTS, HTTP_SECONDS
from shared.web.body import ClientGone
from shared.web.problem import Problem, problem_of, send_problem, unavailable

log = structlog.get_logger()

_REQUEST_ID = re.compile(rb"[A-Za-z0-9_.-]{8,64}")
# A body on a slow line may take its time; the deadline of the answer counts from its end.
BODY_SECONDS = 30.0
# In the scope: headers that an endpoint wants on the answer that is given in its stead when it is late.
LATE_HEADERS = "leadline.late_headers"
# A request id is there to be found in the log; it guards nothing.
_chance = random.getrandbits


class ResponseBroken(Exception):
    """The application failed in the middle of its answer: the connection must be cut, not ended politely."""


class Exchange:
    """Runs an ASGI endpoint for one request; see `shared.web.app.dispatch`."""

    def __init__(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        service: str,
        deadline_seconds: float,
        route: str | None,
    ) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._service = service
        self._deadline_seconds = deadline_seconds
        self._route = route
        # Asked for once: each time costs a system call.
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task(self._loop)
        self._id = _request_id(scope)
        self._status = 0
        self._complete = False
        self._started_at = 0.0
        self._complete_at: float | None = None  # when the request had arrived, body and all
        self._overdue = False
        self._timer: asyncio.TimerHandle | None = None
        self._answer: asyncio.Task[None] | None = None

    async def run(self, endpoint: ASGIApp) -> None:
        """Run `endpoint`; whatever it does, the client gets one well-formed answer."""
        started = time.perf_counter()
        self._scope["leadline.request_id"] = self._id
        structlog.contextvars.bind_contextvars(request_id=self._id)
        self._started_at = self._loop.time()
        if self._scope["method"] not in ("POST", "PUT", "PATCH"):
            self._complete_at = self._started_at
        # One timer for each request: it looks again later if the body came late.
        self._timer = self._loop.call_at(self._started_at + self._deadline_seconds, self._check_deadline)
        try:
            await self._run(endpoint)
        finally:
            self._cancel_timer()
            self._count(time.perf_counter() - started)

    async def _run(self, endpoint: ASGIApp) -> None:
        try:
            await endpoint(self._scope, self._receive_and_note, self._send_and_note)
        except asyncio.CancelledError:
            if not self._overdue or self._task is None:
                raise
            self._task.uncancel()
        except ClientGone:
            self._status = self._status or 499
        except Exception as error:
            await self._fail(error)
        if self._answer is not None:
            await self._answer

    async def _fail(self, error: Exception) -> None:
        if self._complete or self._overdue:
            return  # answered (and logged) further in, which then lets the exception through
        problem = problem_of(error)
        if problem.status >= 500 and not isinstance(error, Problem):
            log.error("http.failed", status=problem.status, code=problem.code, exc_info=error)
        if self._status:
            raise ResponseBroken from None
        await send_problem(self._send_and_note, problem, self._id)

    async def _receive_and_note(self) -> Any:
        message = await self._receive()
        if self._complete_at is None and not message.get("more_body", False):
            self._complete_at = self._loop.time()
        return message

    async def _send_and_note(self, message: Any) -> None:
        if self._overdue:
            return
        await self._send_on(message)

    async def _send_on(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self._cancel_timer()
            self._status = message["status"]
            headers = list(message.get("headers", ()))
            message = {**message, "headers": [*headers, (b"x-request-id", self._id.encode())]}
        elif message["type"] == "http.response.body" and not message.get("more_body", False):
            self._complete = True
        await self._send(message)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _check_deadline(self) -> None:
        if self._status or self._scope.get("leadline.no_deadline"):
            return
        waiting_for_body = self._complete_at is None
        due = self._started_at + BODY_SECONDS
        if self._complete_at is not None:
            due = self._complete_at + self._deadline_seconds
        if self._loop.time() < due:
            self._timer = self._loop.call_at(due, self._check_deadline)
            return
        # Answered from here: the endpoint may be stuck where even its cancellation has to wait.
        self._overdue = True
        problem = (
            Problem(408, "request_timeout", "The body did not arrive in time.")
            if waiting_for_body
            else unavailable("deadline", "No answer in time; whether it was done is unknown. Try again.")
        )
        log.warning("http.deadline", code=problem.code, route=self._route_label())
        self._answer = self._loop.create_task(send_problem(self._send_late, problem, self._id))
        if self._task is not None:
            self._task.cancel()

    async def _send_late(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            message["headers"] += self._scope.get(LATE_HEADERS, ())
        await self._send_on(message)

    def _route_label(self) -> str:
        # Never the path itself: it carries ids, and anybody can invent paths.
        return self._route or getattr(self._scope.get("route"), "path", None) or "unmatched"

    def _count(self, seconds: float) -> None:
        route = self._route_label()
        method = self._scope["method"] if self._scope["method"] in _METHODS else "other"
        requests, duration = _metrics(self._service, method, route, self._status)
        requests.inc()
        duration.observe(seconds)


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


@lru_cache(maxsize=2000)
def _metrics(service: str, method: str, route: str, status: int) -> tuple[Counter, Histogram]:
    return (
        HTTP_REQUESTS.labels(service, method, route, str(status)),
        HTTP_SECONDS.labels(service, route),
    )


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            return str(value.decode())
    return f"{_chance(64):016x}"
