"""`Idempotency-Key`: the answer is stored in the transaction that does the work: both exist or neither.

ticket = await read_ticket(request, key)
answer = await run_once(database, ticket, work)      # work(tx) -> Answer
return answer.response()
"""

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import asyncpg
from starlette.requests import Request
from starlette.responses import Response

from shared.db.database import Database, Transaction
from shared.web.auth import ApiKey
from shared.web.json_bytes import json_bytes
from shared.web.problem import Problem

MAX_KEY = 255
KEPT = "24 hours"
FORGOTTEN_AT_ONCE = 20


@dataclass(frozen=True, slots=True)
class Answer:
    """A response to be sent, and sent again to every repetition of the request."""

    status: int
    body: bytes
    content_type: str = "application/json"

    @classmethod
    def json(cls, value: Any, status: int = 200) -> "Answer":
        """Return the answer with a JSON value (datetimes and UUIDs included)."""
        return cls(status, json_bytes(value))

    def response(self) -> Response:
        """Return it as a Starlette response."""
        return Response(self.body, status_code=self.status, media_type=self.content_type)


@dataclass(frozen=True, slots=True)
class Ticket:
    """One request under an idempotency key; `scope_key` is unique to caller, method, path and key."""

    scope_key: str
    request_hash: str


async def read_ticket(request: Request, key: ApiKey) -> Ticket | None:
    """Return the ticket of a request, None where it carries no Idempotency-Key; Problem 400 for a bad one."""
    given = request.headers.get("idempotency-key")
    if given is None:
        return None
    # The draft standard has a quoted string; most clients send it bare.
    name = given[1:-1] if len(given) >= 2 and given[0] == given[-1] == '"' else given
    if not name or len(name) > MAX_KEY or not name.isascii() or not name.isprintable():
        raise Problem(
            400, "invalid_idempotency_key", f"Idempotency-Key: 1 to {MAX_KEY} printable ASCII characters."
        )
    path = f"{request.url.path}?{request.url.query}"
    scope_key = hashlib.sha256("\n".join((key.id, request.method, path, name)).encode()).hexdigest()
    return Ticket(scope_key, hashlib.sha256(await request.body()).hexdigest())


async def run_once(
    database: Database, ticket: Ticket | None, work: Callable[[Transaction], Awaitable[Answer]]
) -> Answer:
    """Run `work` in a transaction and return its answer after the commit; a repetition gets the stored one.

    Raises Problem 422 (same key, other payload) or 409 (the first request still runs). An error that `work`
    raises undoes all, the key included: the caller may mend the request and use the key again.
    """
    async with database.transaction() as tx:
        if ticket is not None and not await _claim(tx, ticket):
            return await _replay(tx, ticket)
        answer = await work(tx)
        if ticket is not None:
            await _store(tx, ticket, answer)
    return answer


async def _claim(tx: Transaction, ticket: Ticket) -> bool:
    """Insert the key; waits for a concurrent transaction with the same key, up to the lock time-out."""
    try:
        claimed = await tx.connection.fetchval(
            f"INSERT INTO {tx.schema}.idempotency_key (scope_key, request_hash) VALUES ($1, $2)"
            " ON CONFLICT (scope_key) DO NOTHING RETURNING 1",
            ticket.scope_key,
            ticket.request_hash,
        )
    except asyncpg.LockNotAvailableError:
        raise _in_use() from None
    return claimed is not None


def _in_use() -> Problem:
    detail = "The first request with this key still runs."
    return Problem(409, "idempotency_key_in_use", detail, headers={"retry-after": "1"})


async def _replay(tx: Transaction, ticket: Ticket) -> Answer:
    row = await tx.connection.fetchrow(
        "SELECT request_hash, status, content_type, body"
        f" FROM {tx.schema}.idempotency_key WHERE scope_key = $1",
        ticket.scope_key,
    )
    if row is None or row["status"] is None:
        raise _in_use()
    if row["request_hash"] != ticket.request_hash:
        raise Problem(422, "idempotency_key_reused", "This Idempotency-Key came with another body before.")
    return Answer(row["status"], bytes(row["body"]), row["content_type"])


async def _store(tx: Transaction, ticket: Ticket, answer: Answer) -> None:
    await tx.connection.execute(
        f"UPDATE {tx.schema}.idempotency_key SET status = $2, content_type = $3, body = $4"
        " WHERE scope_key = $1",
        ticket.scope_key,
        answer.status,
        answer.content_type,
        answer.body,
    )
    await tx.connection.execute(
        f"DELETE FROM {tx.schema}.idempotency_key WHERE scope_key IN ("
        f" SELECT scope_key FROM {tx.schema}.idempotency_key"
        f" WHERE created_at < statement_timestamp() - interval '{KEPT}'"
        " ORDER BY created_at LIMIT $1 FOR UPDATE SKIP LOCKED)",
        FORGOTTEN_AT_ONCE,
    )
